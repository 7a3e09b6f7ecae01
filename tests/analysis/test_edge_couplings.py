import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from llm_mri_store.analysis.contrast_cells import read_cells
from llm_mri_store.analysis.contrast_spec import ContrastSpec
from llm_mri_store.analysis.edge_couplings import COUPLINGS_SCHEMA, edge_couplings
from llm_mri_store.errors import InvalidInput, UnknownName
from llm_mri_store.store.catalogue import find_reduction, find_scan
from llm_mri_store.store.connection import fetch
from llm_mri_store.store.queries import fill_parameters, named_query
from llm_mri_store.store.selection import select
from tests.analysis.contrasts import halves, labelled, random_codes, smallest
from tests.store.stores import random_store

FEW = ContrastSpec(n_permutations=199)


def column(table, name):
    return np.array([np.nan if value is None else value for value in table[name].to_pylist()])


def alone(codes, *, grid, **options):
    """Cells of one label."""
    return labelled(codes, np.zeros(np.shape(codes)[1]), grid=grid, names=("a",), **options)


@pytest.mark.parametrize("label", ["a", None])
def test_weight_expected_and_lift_are_those_of_the_query(tmp_path, label):
    store = random_store(tmp_path / "store")
    scan = find_scan(store, "big")
    found = edge_couplings(read_cells(scan, find_reduction(scan, "pca-2")), label, spec=FEW)
    query = named_query("edges")
    rows = fetch(select(store), query.sql, fill_parameters(query, {"label": label})).to_pylist()
    ours = [row for row in found.edges.to_pylist() if row["weight"]]
    assert found.n_edges == len(rows) == len(ours)
    for own, theirs in zip(ours, rows, strict=True):
        for name in ("label", "layer", "source", "target", "weight", "n_from", "n_to", "n"):
            assert own[name] == theirs[name]
        assert own["expected"] == pytest.approx(theirs["expected"])
        assert own["lift"] == pytest.approx(theirs["lift"])


def test_p_is_hypergeometric_and_pairs_that_no_sample_joins_are_tested_too():
    found = edge_couplings(alone(random_codes(np.random.default_rng(0), n=300), grid=4), "a", spec=FEW)
    assert found.edges.schema == COUPLINGS_SCHEMA
    tested = found.edges.filter(found.edges["is_tested"])
    assert tested.num_rows == found.n_tested
    assert 0 in tested["weight"].to_pylist()
    for row in tested.to_pylist():
        null = stats.hypergeom(row["n"], row["n_from"], row["n_to"])
        assert row["expected"] == pytest.approx(null.mean())
        assert row["z"] == pytest.approx((row["weight"] - null.mean()) / null.std())
        assert null.pmf(row["weight"]) - 1e-12 <= row["p"]
        tail = min(null.cdf(row["weight"]), null.sf(row["weight"] - 1))
        assert tail - 1e-12 <= row["p"] <= 1
    assert column(tested, "q") == pytest.approx(stats.false_discovery_control(column(tested, "p")))


def test_which_pairs_are_tested_depends_on_the_cells_and_not_on_who_is_where():
    rng = np.random.default_rng(1)
    codes = random_codes(rng, n=200, n_layers=2)
    shuffled = np.stack([codes[0], rng.permutation(codes[1])])
    names = []
    for one in (codes, shuffled):
        table = edge_couplings(alone(one, grid=4), "a", spec=FEW).edges
        tested = table.filter(table["is_tested"])
        names.append(list(zip(tested["source"].to_pylist(), tested["target"].to_pylist(), strict=True)))
    assert names[0] == names[1]


def test_a_planted_way_is_found_with_its_sign():
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, (3, 400))
    chosen = np.flatnonzero(codes[1] == 2)
    codes[2, chosen[: len(chosen) // 2]] = 1
    table = edge_couplings(alone(codes, grid=2), "a", spec=FEW).edges
    found = [row for row in table.to_pylist() if row["p_fwe"] is not None and row["p_fwe"] <= 0.05]
    more = {(row["source"], row["target"]) for row in found if row["score"] > 0}
    assert more == {("1_1_0", "2_0_1")}


def test_independent_layers_are_seldom_told_apart_from_chance():
    hits = {"p_fwe": 0, "q": 0}
    for seed in range(60):
        codes = np.random.default_rng(seed).integers(0, 9, (3, 150))
        table = edge_couplings(alone(codes, grid=3), "a", spec=ContrastSpec(n_permutations=99)).edges
        for name in hits:
            hits[name] += smallest(table, name) <= 0.05
    assert max(hits.values()) <= stats.binom.ppf(0.9995, 60, 0.05)


def test_family_wise_p_by_counting():
    """Two layers of two cells: the table has one free count, so its p is that of the whole table."""
    codes = np.array([[0] * 8 + [1] * 12, [0] * 7 + [1] * 13])
    found = edge_couplings(alone(codes, grid=2), "a", spec=ContrastSpec(n_permutations=1999)).edges
    rows = found.to_pylist()
    assert [row["weight"] for row in rows] == [7, 1, 0, 12]
    ps = {round(row["p"], 12) for row in rows}
    assert len(ps) == 1
    rng = np.random.default_rng(0)
    by_hand = [(rng.permutation(codes[1])[:8] == 0).sum() in (7,) for _ in range(20_000)]
    assert np.mean(by_hand) <= rows[0]["p_fwe"] + 0.002
    assert rows[0]["p_fwe"] == pytest.approx(1 / 2000, abs=1e-3)


def test_a_stratum_that_couples_the_layers_is_held_constant():
    rng = np.random.default_rng(0)
    length = rng.integers(0, 3, 600)
    codes = (length + rng.integers(0, 2, (2, 600))) % 4
    cells = alone(codes, grid=2, n_tokens=length)
    plain = edge_couplings(cells, "a", spec=FEW)
    held = edge_couplings(cells, "a", spec=ContrastSpec(n_permutations=199, strata=("n_tokens",)))
    assert smallest(plain.edges, "p_fwe") == 1 / 200
    assert smallest(held.edges, "p_fwe") > 0.05
    assert held.n_strata == 3
    for place in held.edges["layer"].unique().to_pylist():
        of_layer = held.edges.filter(pa.array([one == place for one in held.edges["layer"].to_pylist()]))
        assert sum(of_layer["weight"].to_pylist()) == 600


def test_nothing_is_made_up_without_a_tested_pair():
    few = edge_couplings(alone(np.arange(6)[None].repeat(2, axis=0), grid=3), "a", spec=FEW)
    assert few.n_tested == 0
    assert few.edges["p"].null_count == few.edges.num_rows == 6
    assert any(sentence.startswith("No pair of cells was tested") for sentence in few.sentences)
    flat = edge_couplings(
        alone(random_codes(np.random.default_rng(0), n=50), grid=4, degenerate=[1]), "a", spec=FEW
    )
    assert flat.edges.num_rows == 0
    assert "Left out, because activations do not vary there: layer 1." in flat.sentences
    single = edge_couplings(alone(np.zeros((1, 9), dtype=int), grid=2), "a", spec=FEW)
    assert (single.edges.num_rows, single.n_tested) == (0, 0)


def test_what_cannot_be_asked_is_refused():
    cells = labelled(np.zeros((2, 5), dtype=int), [0, 1, 1, 1, 1], grid=2, author=list("aabbc"))
    with pytest.raises(InvalidInput, match="'a' has 1 sample with a cell in these samples; at least 2"):
        edge_couplings(cells, "a", spec=FEW)
    with pytest.raises(UnknownName, match="label 'c' is not in these samples"):
        edge_couplings(cells, "c", spec=FEW)
    with pytest.raises(InvalidInput, match="leave groups out"):
        edge_couplings(cells, "b", spec=ContrastSpec(groups="author"))
    with pytest.raises(InvalidInput, match="two-sided"):
        edge_couplings(cells, "b", spec=ContrastSpec(alternative="less"))
    with pytest.raises(InvalidInput, match="min_cell is 0; expected at least 1"):
        edge_couplings(cells, "b", spec=FEW, min_cell=0)


def test_too_many_pairs_are_refused_before_memory_runs_out(monkeypatch):
    monkeypatch.setattr("llm_mri_store.analysis.cell_pairs._MOST_PAIRS", 10)
    cells = labelled(random_codes(np.random.default_rng(0), n=100), halves(100), grid=4)
    with pytest.raises(InvalidInput, match="more than 10 pairs of cells hold 3 samples each; raise min_cell"):
        edge_couplings(cells, None, spec=FEW)


def test_the_same_seed_gives_the_same_table_however_it_is_cut(monkeypatch):
    cells = labelled(random_codes(np.random.default_rng(0), n=100), halves(100), grid=4)
    told = []
    whole = edge_couplings(cells, None, spec=FEW, progress=told.append)
    monkeypatch.setattr("llm_mri_store.analysis.relabelings._ENTRIES_AT_ONCE", 700)
    assert whole.edges.equals(edge_couplings(cells, None, spec=FEW).edges)
    assert (told[-1].done, told[-1].total) == (398, 398)
