"""A user's mistake gets one sentence and exit code 1, and the store stays as it was."""

import json
import subprocess
import sys

import pytest

from tests.cli.shell import refused, shell
from tests.trees import tree


@pytest.fixture
def corpus(tmp_path):
    """Writes records to a corpus file and returns its path."""

    def write(rows, name="corpus.jsonl"):
        path = tmp_path / name
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path

    return write


GOOD = [{"text": "river stone", "label": "a"}, {"text": "cloud engine paper", "label": "b"}]


@pytest.fixture
def scan_refused(tmp_path, tiny_bert):
    """The sentence a scan is refused with; no store may be made by it."""

    def run(corpus, *options, model=None):
        words = refused("scan", model or tiny_bert, corpus, "--store", tmp_path / "none", *options)
        assert not (tmp_path / "none").exists()
        return words

    return run


def test_a_model_that_is_not_there(scan_refused, corpus):
    assert "no such folder" in scan_refused(corpus(GOOD), model="./no-model")
    assert "cannot be loaded" in scan_refused(corpus(GOOD), model="nobody/no-model-of-this-name")


def test_a_folder_without_a_model(scan_refused, corpus, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "expected a config.json" in scan_refused(corpus(GOOD), model=tmp_path / "empty")


def test_a_corpus_that_is_not_there(scan_refused):
    assert "no such file" in scan_refused("missing.csv")
    assert "no corpus 'nobody/none'" in scan_refused("nobody/none")


def test_a_column_that_is_not_there(scan_refused, corpus):
    path = corpus([{"body": "river stone", "label": "a"}] * 2)
    assert "column 'text' is not in corpus" in scan_refused(path)
    words = scan_refused(path, "--text-column", "boby")
    assert "did you mean 'body'?" in words


def test_an_empty_corpus(scan_refused, corpus, tmp_path):
    assert "empty" in scan_refused(corpus([]))
    header = tmp_path / "header.csv"
    header.write_text("text,label\n")
    assert "empty" in scan_refused(header)


def test_one_sample(scan_refused, corpus):
    assert "has one sample; a scan needs at least 2" in scan_refused(corpus(GOOD[:1]))


@pytest.mark.parametrize("column", ["text", "label"])
def test_null_texts_and_labels(scan_refused, corpus, column):
    words = scan_refused(corpus([*GOOD, {**GOOD[0], column: None}]))
    assert f"1 of 3 values in column '{column}'" in words
    assert "row 2" in words


def test_a_layer_the_model_does_not_have(scan_refused, corpus):
    assert "its layers are 0-3" in scan_refused(corpus(GOOD), "--layers", "2,7")


def test_first_token_of_a_causal_model(scan_refused, corpus, tiny_gpt2):
    words = scan_refused(corpus(GOOD), "--pooling", "first", model=tiny_gpt2)
    assert "sees only itself" in words


def test_a_name_that_cannot_be_one(scan_refused, corpus):
    assert "cannot name a scan" in scan_refused(corpus(GOOD), "--name", "../up")


def test_a_device_that_is_not_there(scan_refused, corpus):
    assert "device 'cuda:7' is not there" in scan_refused(corpus(GOOD), "--device", "cuda:7")


def test_a_store_where_a_file_is_in_the_way(tiny_bert, corpus, tmp_path):
    (tmp_path / "file").write_text("mine")
    words = refused("scan", tiny_bert, corpus(GOOD), "--store", tmp_path / "file" / "store")
    assert "a file is in the way" in words
    assert (tmp_path / "file").read_text() == "mine"


def test_a_folder_that_cannot_be_written_to(tiny_bert, corpus):
    # The kernel refuses this one to the superuser as well.
    words = refused("scan", tiny_bert, corpus(GOOD), "--store", "/proc/llm-mri-store")
    assert "/proc/llm-mri-store" in words


def test_a_folder_that_holds_something_else(tiny_bert, corpus, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    words = refused("scan", tiny_bert, corpus(GOOD), "--store", tmp_path / "mine")
    assert "holds files but is no store" in words
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


STORE_MISTAKES = {
    "no such scan": (("heatmap", "tinny"), "did you mean 'tiny'?"),
    "no such scan to reduce": (("reduce", "other"), "scan 'other' is not in store"),
    "no such scan to show": (("show", "other"), "scan 'other' is not in store"),
    "no such scan to remove": (("rm", "other", "-y"), "scan 'other' is not in store"),
    "no such scan to verify": (("verify", "other"), "scan 'other' is not in store"),
    "no such reduction": (("heatmap", "tiny", "-r", "pca-3"), "did you mean 'pca-2'?"),
    "no such label": (
        ("heatmap", "tiny", "--label", "z"),
        "label 'z' is not in scan 'tiny'; there are: a, b, c",
    ),
    "no such label in a graph": (("graph", "tiny", "--label", "z"), "label 'z' is not in scan 'tiny'"),
    "no such label in metrics": (("metrics", "tiny", "--label", "z"), "label 'z' is not in scan 'tiny'"),
    "no such layer": (
        ("heatmap", "tiny", "--layer", "13"),
        "layer 13 is not in scan 'tiny'; there are: 0, 1, 2, 3",
    ),
    "no such query": (("sql", "heatmaps"), "did you mean 'heatmap'?"),
    "no such parameter": (("sql", "heatmap", "-p", "layers=1"), "did you mean 'layer'?"),
    "no parameter": (("sql", "heatmap"), "needs layer"),
    "a parameter of a wrong type": (
        ("sql", "heatmap", "-p", "layer=six"),
        "must be of type INTEGER, got 'six'",
    ),
    "more components than features": (
        ("reduce", "tiny", "--components", "17", "--name", "x"),
        "ask for fewer",
    ),
    "a grid without a plane": (
        ("reduce", "tiny", "--components", "3", "--grid", "4"),
        "a grid needs 2 components",
    ),
    "a centred method not centred": (("reduce", "tiny", "--no-center"), "use svd"),
    "a reduction of that name made otherwise": (("reduce", "tiny", "--grid", "5"), "grid: 4 there, 5 asked"),
    "a template that is not there": (
        ("reduce", "tiny", "--like", "tiny/none"),
        "reduction 'none' is not in scan 'tiny'",
    ),
    "a chart of no known form": (("heatmap", "tiny", "-o", "map.bmp"), "bmp"),
    "a chart into no folder": (
        ("heatmap", "tiny", "--layer", "1", "-o", "none/map.svg"),
        "there is no folder none",
    ),
}


@pytest.mark.parametrize(("words", "sentence"), STORE_MISTAKES.values(), ids=STORE_MISTAKES.keys())
def test_a_mistake_changes_nothing(tiny_store, words, sentence):
    before = tree(tiny_store)
    assert sentence in refused(*words, "--store", tiny_store)
    assert tree(tiny_store) == before


def test_more_components_than_samples(tiny_bert, corpus, tmp_path):
    rows = [
        {"text": f"river {word}", "label": "ab"[i % 2]} for i, word in enumerate(["stone", "cloud", "paper"])
    ]
    store = tmp_path / "store"
    assert shell("scan", tiny_bert, corpus(rows), "--store", store, "--name", "three").exit_code == 0
    words = refused("reduce", "three", "--components", "3", "--store", store)
    assert "3 components were asked for, but 3 samples" in words


def test_an_error_in_sql_points_at_the_place(tiny_store):
    result = shell("sql", "SELECT nothing_there FROM samples", "--store", tiny_store)
    assert result.exit_code == 1
    assert "nothing_there" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    "statement", ["COPY samples TO 'x.csv'", "CREATE TABLE t AS SELECT 1", "DROP VIEW samples"]
)
def test_sql_that_writes_is_refused(tiny_store, statement):
    before = tree(tiny_store)
    assert "only reads" in refused("sql", statement, "--store", tiny_store)
    assert tree(tiny_store) == before


def test_a_view_that_needs_a_reduction_says_so(tiny_store):
    assert shell("rm", "tiny/pca-2", "-y", "--store", tiny_store).exit_code == 0
    words = refused("sql", "SELECT * FROM points", "--store", tiny_store)
    assert "make one with 'llm-mri reduce tiny'" in words


def test_no_store(tmp_path):
    assert "is no store" in refused("ls", "--store", tmp_path / "nowhere")


def test_a_damaged_parquet_file(tiny_store):
    chunk = tiny_store / "scans/tiny/chunks/000001/samples.parquet"
    chunk.write_bytes(chunk.read_bytes()[:100])
    assert "llm-mri verify" in refused("sql", "SELECT count(*) FROM samples", "--store", tiny_store)
    assert "llm-mri verify" in refused("heatmap", "tiny", "--layer", "1", "--store", tiny_store)
    result = shell("verify", "--store", tiny_store)
    assert result.exit_code == 1
    assert "chunks/000001/samples.parquet" in result.stdout


def test_a_full_disk(tiny_bert, tiny_corpus, tmp_path):
    """A limit on file size stands in for the disk: the write fails as it does when the disk is full."""
    store = tmp_path / "store"
    script = (
        "import resource, signal, sys\n"
        "from llm_mri_store.cli import main\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2500, 2500))\n"
        "main(sys.argv[1:])\n"
    )
    words = [str(tiny_bert), str(tiny_corpus), "--store", str(store), "--name", "full", "--device", "cpu"]
    done = subprocess.run(
        [sys.executable, "-c", script, "scan", *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "no space left to write" in done.stderr.strip().splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert not list(store.glob("scans/full/chunks/*"))
    assert shell("scan", *words).exit_code == 0
    done = subprocess.run(
        [sys.executable, "-c", script, "reduce", "full", "--store", str(store)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "no space left to write" in done.stderr.strip().splitlines()[-1]
    assert not list(store.glob("scans/full/reductions/*"))
    assert shell("reduce", "full", "--store", store).exit_code == 0
    assert shell("verify", "--store", store).exit_code == 0


def test_words_of_others_reach_the_terminal_spelled_out(tiny_store):
    words = refused("heatmap", "tiny", "--label", "\x1b]0;title\x07\u202e", "--store", tiny_store)
    assert "\x1b" not in words
    assert "\u202e" not in words


@pytest.mark.parametrize("name", ["x" * 10_000, "~nobody-of-this-name"])
def test_a_path_that_cannot_be_looked_for(scan_refused, corpus, name):
    assert "no corpus at" in scan_refused(name)
    scan_refused(corpus(GOOD), model=name)


def test_a_corpus_nested_too_deeply(scan_refused, tmp_path):
    (tmp_path / "deep.jsonl").write_text("[" * 100_000 + "\n")
    (tmp_path / "deeper.jsonl").write_text('{"text": ' + "[" * 100_000 + "\n")
    for name in ("deep.jsonl", "deeper.jsonl"):
        assert "JSON object" in scan_refused(tmp_path / name)


def test_a_table_whose_headers_look_like_markup(tiny_store):
    ran = shell("sql", 'SELECT 1 AS "[/] [bold]x"', "--scan", "tiny", "--store", tiny_store)
    assert ran.exit_code == 0
    assert "[/] [bold]x" in ran.stdout
