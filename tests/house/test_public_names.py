"""The public surface is small and pinned; nothing in the package can run a stored file's code."""

import inspect
import re
from pathlib import Path

import pytest

import llm_mri_store as mri

PACKAGE = Path(mri.__file__).parent


def test_the_public_names_are_these():
    assert sorted(mri.__all__) == [
        "LlmMriError",
        "Progress",
        "Reduction",
        "Scan",
        "Store",
        "Table",
        "__version__",
        "degree_by_layer",
        "graph_metrics",
        "node_metrics",
        "projection_metrics",
        "save_chart",
        "write_graph",
    ]


@pytest.mark.parametrize("name", sorted(set(mri.__all__) - {"__version__"}))
def test_every_public_name_is_there_and_documented(name):
    assert inspect.getdoc(getattr(mri, name))


@pytest.mark.parametrize(
    "owner", [mri.Store, mri.Scan, mri.Reduction, mri.Table], ids=lambda owner: owner.__name__
)
def test_every_public_method_is_documented(owner):
    for name, member in vars(owner).items():
        if not name.startswith("_") and (callable(member) or isinstance(member, property)):
            assert inspect.getdoc(member), f"{owner.__name__}.{name}"


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Stoer'"):
        _ = mri.Stoer


def test_every_error_stands_in_the_tree():
    from llm_mri_store import errors

    for name, error in vars(errors).items():
        if inspect.isclass(error) and issubclass(error, mri.LlmMriError):
            assert re.search(rf"^    .*\b{name}\b", errors.__doc__, re.MULTILINE), name
            assert error is mri.LlmMriError or issubclass(error, ValueError | LookupError | OSError), (
                f"{name} is also the builtin that a caller expects"
            )


def test_nothing_is_unpickled():
    for path in PACKAGE.rglob("*.py"):
        code = path.read_text()
        assert not re.search(
            r"\bimport (pickle|joblib|dill|cloudpickle|shelve|marshal)\b|torch\.load\(", code
        ), path


def test_the_version_is_that_of_the_distribution():
    from importlib.metadata import version

    assert version("llm-mri-store") == mri.__version__
