"""Every command does what its help says."""

import csv
import io
import json

import networkx as nx
import pyarrow.parquet as pq
import pytest

from llm_mri_store import Store
from tests.cli.shell import shell


def ok(*words):
    result = shell(*words)
    assert result.exit_code == 0, result.output
    return result


def test_scan_reduce_and_ask(tiny_bert, tiny_corpus, tmp_path):
    store = ["--store", tmp_path / "store"]
    scanned = ok("scan", tiny_bert, tiny_corpus, *store, "--pooling", "mean", "--layers", "1-3")
    assert "24 texts x 3 layers x 16" in " ".join(scanned.stderr.split())
    ok("reduce", *store, "--grid", "4")
    rows = json.loads(ok("heatmap", *store, "--layer", "2", "--label", "b", "--format", "json").stdout)
    assert len(rows) == 16
    assert sum(row["n"] for row in rows) == 8


def test_the_same_scan_again_changes_nothing(tiny_bert, tiny_corpus, tmp_path):
    words = ("scan", tiny_bert, tiny_corpus, "--store", tmp_path / "store", "--name", "one")
    ok(*words)
    assert "(0 to do)" in " ".join(ok(*words).stderr.split())


def test_quiet_says_nothing_but_the_result(tiny_bert, tiny_corpus, tmp_path):
    result = ok("scan", tiny_bert, tiny_corpus, "--store", tmp_path / "store", "-q")
    assert result.stderr == ""


def test_ls_lists_scans_and_reductions(tiny_store):
    (row,) = csv.DictReader(io.StringIO(ok("ls", "--store", tiny_store, "--format", "csv").stdout))
    assert (row["scan"], row["status"], row["n_samples"], row["reductions"]) == (
        "tiny",
        "complete",
        "24",
        "pca-2",
    )


def test_the_store_can_come_from_the_environment(tiny_store, monkeypatch):
    monkeypatch.setenv("LLM_MRI_STORE", str(tiny_store))
    assert "tiny" in ok("ls").stdout


def test_show_states_inputs_samples_and_layers(tiny_store):
    shown = ok("show", "--store", tiny_store).stdout
    for words in ("mean pooling", "source", "24, 3 labels", "is_degenerate", "residual"):
        assert words in shown


def test_rm_asks_first(tiny_store):
    refusal = shell("rm", "tiny", "--store", tiny_store)
    assert refusal.exit_code == 1
    assert "tiny" in Store(tiny_store).scans
    ok("rm", "tiny/pca-2", "-y", "--store", tiny_store)
    assert list(Store(tiny_store).scans["tiny"].reductions) == []
    ok("rm", "tiny", "-y", "--store", tiny_store)
    assert list(Store(tiny_store).scans) == []


def test_verify_is_content_with_a_sound_store(tiny_store):
    assert "every file is as it was committed" in ok("verify", "--store", tiny_store).stderr


def test_heatmap_prints_the_map(tiny_store):
    printed = ok("heatmap", "tiny", "--layer", "2", "--store", tiny_store).stdout
    lines = printed.splitlines()
    assert lines[0] == "layer 2, all labels, n = 24"
    counts = [int(word) for line in lines[1:5] for word in line.split("|")[1].replace(".", "0").split()]
    assert sum(counts) == 24


def test_heatmap_writes_rows_by_ending(tiny_store):
    for ending, read in (
        ("csv", lambda path: len(path.read_text().splitlines()) - 1),
        ("parquet", lambda path: pq.read_table(path).num_rows),
    ):
        ok("heatmap", "tiny", "--layer", "2", "--store", tiny_store, "-o", f"map.{ending}")
        assert read(tiny_store.parent / f"map.{ending}") == 16


@pytest.mark.parametrize("command", [["heatmap", "--layer", "2"], ["heatmap"], ["graph"]])
@pytest.mark.parametrize("ending", ["html", "svg", "png", "json"])
def test_charts_are_written_by_ending(tiny_store, command, ending):
    ok(*command, "--store", tiny_store, "-o", f"chart.{ending}")
    content = (tiny_store.parent / f"chart.{ending}").read_bytes()
    start = {"html": b"<!", "svg": b"<svg", "png": b"\x89PNG", "json": b"{"}[ending]
    assert content.lstrip()[: len(start)].lower() == start.lower()


def test_graph_writes_files_that_networkx_reads(tiny_store):
    ok("graph", "--store", tiny_store, "--label", "a", "-o", "a.graphml")
    ok("graph", "--store", tiny_store, "--label", "a", "-o", "a.gexf")
    expected = Store(tiny_store).reduction().graph("a")
    for read, file in ((nx.read_graphml, "a.graphml"), (nx.read_gexf, "a.gexf")):
        graph = read(tiny_store.parent / file)
        assert sorted(graph.edges) == sorted(expected.edges)


def test_graph_prints_edges_that_sum_to_the_samples(tiny_store):
    printed = ok("graph", "--store", tiny_store, "--label", "a", "--format", "csv").stdout
    rows = list(csv.DictReader(io.StringIO(printed)))
    assert {row["label"] for row in rows} == {"a"}
    for layer in {row["layer"] for row in rows}:
        assert sum(int(row["weight"]) for row in rows if row["layer"] == layer) == 8


def test_metrics_has_a_row_per_label_and_one_for_all(tiny_store):
    rows = json.loads(ok("metrics", "--store", tiny_store, "--format", "json").stdout)
    assert [row["graph"] for row in rows] == ["a", "b", "c", "all"]
    table = ok("metrics", "--store", tiny_store).stdout
    assert "center_of_mass" in table


def test_sql_lists_shows_and_runs_named_queries(tiny_store):
    listed = ok("sql", "--list").stdout
    assert "heatmap " in listed
    assert ok("sql", "heatmap", "--show").stdout.startswith("-- How many samples")
    rows = json.loads(
        ok(
            "sql", "heatmap", "-p", "layer=1", "-p", "label=a", "--store", tiny_store, "--format", "json"
        ).stdout
    )
    assert sum(row["n"] for row in rows) == 8


def test_sql_runs_a_select(tiny_store):
    query = "SELECT label, count(*) AS n FROM samples GROUP BY label ORDER BY label"
    assert ok("sql", query, "--store", tiny_store, "--format", "csv").stdout == "label,n\na,8\nb,8\nc,8\n"


def test_sql_without_a_query_is_a_usage_error(tiny_store):
    assert shell("sql", "--store", tiny_store).exit_code == 2
    assert shell("sql", "heatmap", "-p", "layer", "--store", tiny_store).exit_code == 2


def test_scans_stand_side_by_side_in_sql(tiny_store, tiny_bert, tiny_corpus):
    ok("scan", tiny_bert, tiny_corpus, "--store", tiny_store, "--name", "other", "--pooling", "max", "-q")
    query = "SELECT count(*) AS n FROM tiny.samples AS a JOIN other.samples AS b USING (sample_id)"
    words = ("sql", query, "--scan", "tiny", "--scan", "other", "--store", tiny_store, "--format", "csv")
    assert ok(*words).stdout == "n\n24\n"


def test_reduce_like_applies_another_reduction(tiny_store, tiny_bert, tiny_corpus):
    ok("scan", tiny_bert, tiny_corpus, "--store", tiny_store, "--name", "other", "--pooling", "mean", "-q")
    ok("reduce", "other", "--like", "tiny/pca-2", "--store", tiny_store, "-q")
    own = Store(tiny_store).reduction("tiny")
    applied = Store(tiny_store).reduction("other")
    assert applied.heatmap(3).arrow.equals(own.heatmap(3).arrow)


@pytest.mark.parametrize(
    "command",
    [
        "demo",
        "scan",
        "reduce",
        "ls",
        "show",
        "verify",
        "rm",
        "heatmap",
        "graph",
        "metrics",
        "contrast",
        "edges",
        "compare",
        "information",
        "plot",
        "sql",
    ],
)
def test_every_command_explains_itself(command):
    assert "Usage:" in ok(command, "--help").stdout
