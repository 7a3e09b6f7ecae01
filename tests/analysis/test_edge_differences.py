from itertools import combinations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from llm_mri_store.analysis.contrast_spec import ContrastSpec
from llm_mri_store.analysis.edge_differences import edge_differences
from llm_mri_store.analysis.edge_tables import COMPONENTS_SCHEMA, DIFFERENCES_SCHEMA
from llm_mri_store.errors import InvalidInput, UnknownName
from tests.analysis.contrasts import halves, labelled, random_codes, smallest

FEW = ContrastSpec(n_permutations=199)


def column(table, name):
    return np.array([np.nan if value is None else value for value in table[name].to_pylist()])


def drawn(seed=0, *, n=200, n_layers=4, grid=3, **options):
    return labelled(
        random_codes(np.random.default_rng(seed), n=n, n_layers=n_layers, grid=grid),
        options.pop("labels", halves(n)),
        grid=grid,
        **options,
    )


def planted(seed=0, *, n=600, share=0.25):
    """At layer 2 a share of A's samples steps from its cell into one cell of layer 3, and on to one of 4."""
    rng = np.random.default_rng(seed)
    codes = random_codes(rng, n=n, n_layers=6, grid=4)
    chosen = np.flatnonzero((np.arange(n) < n // 2) & (rng.random(n) < share))
    codes[2, chosen], codes[3, chosen], codes[4, chosen] = 5, 10, 6
    return labelled(codes, halves(n), grid=4)


def test_tables_have_the_columns_they_say():
    found = edge_differences(drawn(), "a", "b", spec=FEW)
    assert found.edges.schema == DIFFERENCES_SCHEMA
    assert found.components.schema == COMPONENTS_SCHEMA
    assert found.edges.num_rows == found.n_edges
    assert sum(found.edges["is_tested"].to_pylist()) == found.n_tested > 0
    assert found.components["size"].to_pylist() == sorted(found.components["size"].to_pylist(), reverse=True)


def test_p_is_that_of_fishers_exact_test_for_equal_labels():
    found = edge_differences(drawn(), "a", "b", spec=FEW)
    for row in found.edges.to_pylist():
        table = [
            [row["weight_a"], row["n_a"] - row["weight_a"]],
            [row["weight_b"], row["n_b"] - row["weight_b"]],
        ]
        assert row["p"] == pytest.approx(stats.fisher_exact(table).pvalue, rel=1e-9)
        both = row["weight_a"] + row["weight_b"]
        assert row["expected_a"] == pytest.approx(both / 2)
        sd = stats.hypergeom(200, both, 100).std()
        assert row["z"] == pytest.approx((row["weight_a"] - both / 2) / sd)


def test_q_is_that_of_scipy_over_the_tested_edges():
    found = edge_differences(planted(), "a", "b", spec=FEW)
    tested = found.edges.filter(found.edges["is_tested"])
    assert column(tested, "q") == pytest.approx(stats.false_discovery_control(column(tested, "p")))
    rest = found.edges.filter(pa.array([not flag for flag in found.edges["is_tested"].to_pylist()]))
    assert rest["q"].null_count == rest["p_fwe"].null_count == rest.num_rows


def test_family_wise_p_by_enumeration():
    """Nine samples, four of A: all 126 ways to label them, each edge's smallest p counted by hand."""
    rng = np.random.default_rng(3)
    codes = rng.integers(0, 2, (3, 9)) * 3
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 1, 1])
    codes[1, :4], codes[2, :4] = 0, 3
    cells = labelled(codes, labels, grid=2)
    found = edge_differences(cells, "a", "b", spec=ContrastSpec(n_permutations=999))
    assert found.facts.is_exact
    assert found.facts.n_permutations == 126
    tested = found.edges.filter(found.edges["is_tested"]).to_pylist()

    def p_of(row, chosen):
        """Fisher's p, tails by score, of an edge when ``chosen`` are A."""
        start = row["from_x"] * 2 + row["from_y"]
        end = row["to_x"] * 2 + row["to_y"]
        members = set(np.flatnonzero((codes[row["layer"]] == start) & (codes[row["layer"] + 1] == end)))
        ways = [len(members & set(way)) for way in combinations(range(9), 4)]
        mean, sd = np.mean(ways), np.std(ways)
        skew = np.mean((np.array(ways) - mean) ** 3) / sd**3 if sd else 0.0

        def size(value):
            z = (value - mean) / sd
            return abs(6 / skew * (np.cbrt(1 + skew * z / 2) - 1)) if abs(skew) > 1e-6 else abs(z)

        own = size(len(members & set(chosen)))
        return np.mean([size(way) >= own - 1e-9 for way in ways])

    smallest_ps = np.array([min(p_of(row, way) for row in tested) for way in combinations(range(9), 4)])
    for row in tested:
        assert row["p"] == pytest.approx(p_of(row, range(4)))
        assert row["p_fwe"] == pytest.approx(np.mean(smallest_ps <= row["p"] + 1e-9))


def test_swapping_the_labels_turns_every_sign():
    cells = planted()
    one, other = (edge_differences(cells, *names, spec=FEW) for names in (("a", "b"), ("b", "a")))
    for name in ("difference", "z", "score"):
        assert column(one.edges, name) == pytest.approx(-column(other.edges, name), abs=1e-12, nan_ok=True)
    for name in ("p", "q"):
        assert column(one.edges, name) == pytest.approx(column(other.edges, name), nan_ok=True)
    assert column(one.edges, "share_a") == pytest.approx(column(other.edges, "share_b"))
    assert one.components["size"].to_pylist() == pytest.approx(other.components["size"].to_pylist())


def test_a_planted_step_is_found_and_its_path_is_one_component():
    found = edge_differences(planted(), "a", "b", spec=FEW)
    rows = {(row["source"], row["target"]): row for row in found.edges.to_pylist()}
    for step in (("2_1_1", "3_2_2"), ("3_2_2", "4_1_2")):
        assert rows[step]["p_fwe"] == 1 / 200
        assert rows[step]["p_component"] == 1 / 200
        assert rows[step]["component"] == 1
        assert rows[step]["score"] > 3
    top = found.components.to_pylist()[0]
    assert (top["sign"], top["first_layer"] <= 2, top["last_layer"] >= 4) == (1, True, True)
    assert "2_1_1 -> 3_2_2" in " ".join(found.sentences) or "3_2_2 -> 4_1_2" in " ".join(found.sentences)


@pytest.mark.parametrize("by", ["intensity", "extent"])
@pytest.mark.parametrize("given_", ["nothing", "source"])
def test_labels_that_differ_in_nothing_are_seldom_told_apart(given_, by):
    """At a level of 0.05, 0 to 7 of 60 runs are within the 99.9 % range of a test that holds it."""
    spec = ContrastSpec(n_permutations=99)
    hits = {"p_fwe": 0, "q": 0, "components": 0}
    for seed in range(60):
        labels = np.random.default_rng(seed).permutation(halves(120))
        found = edge_differences(drawn(seed, n=120, labels=labels), "a", "b", spec=spec, given=given_, by=by)
        hits["p_fwe"] += smallest(found.edges, "p_fwe") <= 0.05
        hits["q"] += smallest(found.edges, "q") <= 0.05
        hits["components"] += smallest(found.components, "p_fwe") <= 0.05
    assert max(hits.values()) <= stats.binom.ppf(0.9995, 60, 0.05)


def test_given_the_source_cells_alone_do_not_make_a_difference():
    """A and B fill the cells of layer 0 unequally; from each of them they go on alike."""
    rng = np.random.default_rng(0)
    n = 800
    start = np.where(np.arange(n) < n // 2, rng.choice(4, n, p=[0.7, 0.1, 0.1, 0.1]), rng.integers(0, 4, n))
    codes = np.stack([start, (start + rng.integers(0, 2, n)) % 4])
    cells = labelled(codes, halves(n), grid=2)
    assert smallest(edge_differences(cells, "a", "b", spec=FEW).edges, "p_fwe") == 1 / 200
    given_source = edge_differences(cells, "a", "b", spec=FEW, given="source")
    assert smallest(given_source.edges, "p_fwe") > 0.05
    row = given_source.edges.to_pylist()[0]
    assert row["n_a"] == int((start[: n // 2] == 0).sum())
    assert row["share_a"] == row["weight_a"] / row["n_a"]
    assert "share the source's cell" in " ".join(given_source.sentences)


def test_given_the_source_a_step_that_differs_is_found():
    rng = np.random.default_rng(0)
    start = rng.integers(0, 4, 400)
    turns = np.where((np.arange(400) < 200) & (start == 2), 1, 0)
    cells = labelled(np.stack([start, (start + turns) % 4]), halves(400), grid=2)
    found = edge_differences(cells, "a", "b", spec=FEW, given="source")
    differing = [row for row in found.edges.to_pylist() if row["p_fwe"] is not None and row["p_fwe"] <= 0.05]
    assert {row["source"] for row in differing} == {"0_1_0"}
    assert {row["difference"] for row in differing} == {1.0, -1.0}


def test_a_covariate_that_explains_the_edges_makes_them_go_dark():
    rng = np.random.default_rng(0)
    n = 600
    length = rng.integers(0, 3, n)
    labels = (rng.random(n) < np.array([0.15, 0.5, 0.85])[length]).astype(int)
    codes = (length + rng.integers(0, 2, (3, n))) % 4
    cells = labelled(codes, labels, grid=2, n_tokens=length)
    plain = edge_differences(cells, "a", "b", spec=FEW)
    held = edge_differences(cells, "a", "b", spec=ContrastSpec(n_permutations=199, strata=("n_tokens",)))
    assert smallest(plain.edges, "p_fwe") == 1 / 200
    assert smallest(held.edges, "p_fwe") > 0.05
    assert smallest(held.edges, "q") > 0.05
    assert np.nanmax(np.abs(column(held.edges, "z"))) < np.nanmax(np.abs(column(plain.edges, "z")))


def test_samples_of_a_stratum_of_one_label_are_counted_and_change_no_p():
    cells = drawn()
    n = cells.n_samples
    more = labelled(
        np.concatenate([cells.codes, np.full((4, 20), 4)], axis=1),
        np.concatenate([cells.label_codes, np.zeros(20)]),
        grid=3,
        source=[0] * n + [1] * 20,
    )
    one = edge_differences(cells, "a", "b", spec=FEW)
    other = edge_differences(more, "a", "b", spec=ContrastSpec(n_permutations=199, strata=("source",)))
    rows = {(row["source"], row["target"]): row for row in other.edges.to_pylist()}
    for row in one.edges.to_pylist():
        more_of_a = 20 if (row["from_x"], row["from_y"], row["to_x"], row["to_y"]) == (1, 1, 1, 1) else 0
        same = rows[row["source"], row["target"]]
        assert same["weight_a"] == row["weight_a"] + more_of_a
        assert same["expected_a"] == pytest.approx(row["expected_a"] + more_of_a)
        assert same["p"] == pytest.approx(row["p"])
        assert same["z"] == pytest.approx(row["z"])


def test_groups_that_move_as_a_whole_hide_what_single_samples_show():
    """Each group of ten has one label and takes one way: eight ways are no evidence, eighty seem to be."""
    ways = np.array([0, 1, 2, 0, 3, 2, 1, 3])
    codes = np.repeat(ways, 10)[None].repeat(2, axis=0)
    cells = labelled(codes, np.repeat(np.arange(8) >= 4, 10), grid=2, author=np.repeat(np.arange(8), 10))
    alone = edge_differences(cells, "a", "b", spec=FEW)
    grouped = edge_differences(cells, "a", "b", spec=ContrastSpec(n_permutations=199, groups="author"))
    assert smallest(alone.edges, "p_fwe") == 1 / 200
    assert smallest(grouped.edges, "p_fwe") > 0.05
    assert (alone.p_method, grouped.p_method) == ("exact", "counted")
    with pytest.raises(InvalidInput, match="move as a whole, through many cells"):
        edge_differences(
            cells, "a", "b", spec=ContrastSpec(n_permutations=199, groups="author"), given="source"
        )


def test_groups_of_one_sample_give_the_p_of_single_samples():
    cells = drawn(n=60, author=np.arange(60).astype(str))
    one = edge_differences(cells, "a", "b", spec=FEW)
    other = edge_differences(cells, "a", "b", spec=ContrastSpec(n_permutations=199, groups="author"))
    for name in ("weight_a", "difference", "z", "score", "p", "q", "p_fwe", "p_component"):
        assert one.edges[name].equals(other.edges[name])


def test_a_low_threshold_joins_edges_too_rare_to_be_tested():
    cells = drawn(n=60, n_layers=5, grid=8)
    high = edge_differences(cells, "a", "b", spec=FEW)
    low = edge_differences(cells, "a", "b", spec=ContrastSpec(n_permutations=199, cluster_threshold=0.5))
    assert low.n_tested == high.n_tested
    assert low.components["n_edges"].to_pylist()[0] > high.n_tested
    inside = low.edges.filter(pa.array([value is not None for value in low.edges["component"].to_pylist()]))
    assert not all(inside["is_tested"].to_pylist())
    assert (np.abs(column(inside, "score")) > 0.5).all()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(4, 40))
def test_every_p_is_one_and_every_table_adds_up(seed, n):
    rng = np.random.default_rng(seed)
    cells = labelled(rng.integers(0, 4, (3, 2 * n)), rng.permutation(halves(2 * n)), grid=2)
    found = edge_differences(cells, "a", "b", spec=ContrastSpec(n_permutations=19, seed=seed % 1000))
    for name in ("p", "q", "p_fwe", "p_component"):
        values = column(found.edges, name)
        assert ((values > 0) & (values <= 1) | np.isnan(values)).all()
    tested = found.edges.filter(found.edges["is_tested"])
    assert (column(tested, "p") <= column(tested, "q") + 1e-12).all()
    for side in ("a", "b"):
        assert column(found.edges, f"weight_{side}").sum() == 2 * n
        assert column(found.edges, f"expected_{side}").sum() == pytest.approx(2 * n) if side == "a" else True
    inside = column(found.edges, "component")
    for row in found.components.to_pylist():
        assert row["n_edges"] == (inside == row["component"]).sum()


def test_the_same_seed_gives_the_same_and_another_seed_the_same_exact_p():
    cells = planted()
    one, again, other = (
        edge_differences(cells, "a", "b", spec=ContrastSpec(n_permutations=99, seed=seed))
        for seed in (0, 0, 1)
    )
    assert one.edges.equals(again.edges)
    assert one.components.equals(again.components)
    assert one.edges["p"].equals(other.edges["p"])


def test_more_relabelings_at_once_than_memory_allows_make_no_difference(monkeypatch):
    cells = planted(n=200)
    whole = edge_differences(cells, "a", "b", spec=FEW)
    monkeypatch.setattr("llm_mri_store.analysis.relabelings._ENTRIES_AT_ONCE", 1000)
    parts = edge_differences(cells, "a", "b", spec=FEW)
    assert whole.edges.equals(parts.edges)
    assert whole.components.equals(parts.components)


def test_the_rest_and_several_labels_may_be_a_side():
    cells = drawn(labels=np.arange(200) % 4, names=("a", "b", "c", "d"))
    rest = edge_differences(cells, "a", spec=FEW)
    named = edge_differences(cells, "a", ("b", "c", "d"), spec=FEW)
    assert (rest.name_b, rest.n_b) == ("rest", 150)
    assert rest.edges.equals(named.edges)


def test_edges_at_a_degenerate_layer_are_left_out_and_said_so():
    found = edge_differences(drawn(degenerate=[1]), "a", "b", spec=FEW)
    assert set(found.edges["layer"].to_pylist()) == {2}
    assert "Left out, because activations do not vary there: layer 1." in found.sentences


@pytest.mark.parametrize("options", [{"n_layers": 1}, {"n_layers": 3, "degenerate": [1]}])
def test_without_an_edge_nothing_is_made_up(options):
    found = edge_differences(drawn(**options), "a", "b", spec=FEW)
    assert (found.edges.num_rows, found.components.num_rows, found.n_tested) == (0, 0, 0)
    assert "There is no edge to compare: no two neighbouring layers vary." in found.sentences


def test_too_few_samples_for_any_edge_are_said_so():
    cells = labelled(np.arange(12)[None].repeat(2, axis=0), halves(12), grid=4)
    found = edge_differences(cells, "a", "b", spec=FEW)
    assert found.n_tested == 0
    assert found.edges["p_fwe"].null_count == found.edges.num_rows == 12
    assert "So no edge was tested; take more samples, or a coarser grid." in found.sentences


@pytest.mark.parametrize("n_a", [1, 2, 3])
def test_a_label_of_few_samples_is_refused_in_one_sentence_or_has_no_p_below_what_is_possible(n_a):
    labels = np.ones(12, dtype=int)
    labels[:n_a] = 0
    cells = drawn(n=12, labels=labels)
    if n_a == 1:
        with pytest.raises(InvalidInput, match="a contrast needs at least 2 a side"):
            edge_differences(cells, "a", "b", spec=FEW)
    else:
        found = edge_differences(cells, "a", "b", spec=ContrastSpec(n_permutations=999))
        assert found.facts.is_exact
        assert smallest(found.edges, "p_fwe") >= found.facts.smallest_p


def test_what_cannot_be_asked_is_refused():
    cells = drawn()
    with pytest.raises(InvalidInput, match="a label does not differ from itself"):
        edge_differences(cells, "a", "a", spec=FEW)
    with pytest.raises(InvalidInput, match="edges only have two-sided tests"):
        edge_differences(cells, "a", "b", spec=ContrastSpec(alternative="greater"))
    with pytest.raises(UnknownName, match="did you mean 'source'"):
        edge_differences(cells, "a", "b", spec=FEW, given="sources")
    with pytest.raises(UnknownName, match="did you mean 'extent'"):
        edge_differences(cells, "a", "b", spec=FEW, by="extents")
    with pytest.raises(UnknownName, match="covariate 'n_tokens'"):
        edge_differences(cells, "a", "b", spec=ContrastSpec(strata=("n_tokens",)))


def test_progress_is_told_to_the_end():
    told = []
    edge_differences(drawn(), "a", "b", spec=FEW, progress=told.append)
    assert (told[-1].job, told[-1].done, told[-1].total) == ("edges", 199, 199)


def test_groups_widen_the_intervals_of_differences():
    rng = np.random.default_rng(0)
    codes = np.repeat(rng.integers(0, 4, (2, 30)), 10, axis=1)
    cells = labelled(codes, np.repeat(np.arange(30) % 2, 10), grid=2, author=np.repeat(np.arange(30), 10))
    grouped = ContrastSpec(n_permutations=99, groups="author")
    one, other = (edge_differences(cells, "a", "b", spec=spec).edges for spec in (FEW, grouped))
    assert column(one, "difference").tolist() == column(other, "difference").tolist()
    widths = [column(table, "difference_high") - column(table, "difference_low") for table in (one, other)]
    assert (widths[1] > 1.5 * widths[0]).all()
