"""Runs a command in this process, as the shell would."""

from click.testing import CliRunner, Result

from llm_mri_store.cli import main


def shell(*words: object) -> Result:
    """The result of ``llm-mri`` with these words."""
    return CliRunner().invoke(main, [str(word) for word in words])


def refused(*words: object) -> str:
    """The one sentence of a command that must fail with exit code 1 and print nothing on stdout."""
    return sentence_of(shell(*words))


def sentence_of(result: Result) -> str:
    """The one sentence of a command that failed with exit code 1 and printed nothing on stdout."""
    assert result.exit_code == 1, (result.exit_code, result.output)
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("llm-mri: "), result.stderr
    return last.removeprefix("llm-mri: ")
