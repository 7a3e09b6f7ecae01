import numpy as np
import pytest

from llm_mri_store.analysis.contrast_spec import ContrastSpec
from llm_mri_store.analysis.permutation_design import plan_exchange
from llm_mri_store.analysis.relabelings import Relabelings, block_width, refuse_one_sided, spawned_seeds
from llm_mri_store.errors import InvalidInput


def relabelings(labels, *, strata=None, groups=None, n=50, **options):
    labels = np.asarray(labels)
    strata = np.zeros(labels.size, dtype=np.int64) if strata is None else np.asarray(strata)
    exchange = plan_exchange(labels, strata=strata, n_labels=int(labels.max()) + 1, groups=groups)
    return Relabelings(exchange=exchange, labels=labels, n_permutations=n, seed=0, **options)


def all_columns(found, n_rows=1):
    return np.concatenate(list(found.columns(n_rows=n_rows)), axis=1)


def test_labels_are_exchanged_within_strata_alone():
    labels, strata = np.arange(30) % 3, np.arange(30) // 10
    found = relabelings(labels, strata=strata)
    columns = all_columns(found)
    assert columns.shape == (30, found.n) == (30, 50)
    for stratum in range(3):
        inside = np.sort(columns[strata == stratum], axis=0)
        assert (inside == np.sort(labels[strata == stratum])[:, None]).all()
    assert len({column.tobytes() for column in columns.T}) == 50


def test_samples_that_take_no_part_keep_their_labels():
    labels, strata = np.array([0, 1, 1, 0, 2, 2]), np.array([0, 0, 0, 0, 1, 1])
    columns = all_columns(relabelings(labels, strata=strata, n=3))
    assert (columns[4:] == 2).all()


def test_few_relabelings_are_all_counted_once():
    found = relabelings([0, 0, 1, 1, 1], n=99)
    columns = all_columns(found)
    assert found.is_exact
    assert found.n == columns.shape[1] == 10
    assert len({column.tobytes() for column in columns.T}) == 10
    drawn = relabelings([0, 0, 1, 1, 1], n=99, may_count=False)
    assert (drawn.is_exact, drawn.n, all_columns(drawn).shape) == (False, 99, (5, 99))


def test_groups_of_one_label_stay_together():
    groups = np.repeat(np.arange(8), 3)
    found = relabelings(np.repeat([0, 1], 12), groups=groups, n=30)
    for column in all_columns(found).T:
        assert all(len(set(column[groups == group].tolist())) == 1 for group in range(8))


def test_the_width_of_blocks_changes_no_relabeling(monkeypatch):
    wide = all_columns(relabelings(np.arange(40) % 2, n=300))
    monkeypatch.setattr("llm_mri_store.analysis.relabelings._ENTRIES_AT_ONCE", 7 * 40)
    found = relabelings(np.arange(40) % 2, n=300)
    assert {block.shape[1] for block in found.columns(n_rows=1)} == {7, 300 % 7}
    assert (all_columns(found) == wide).all()


def test_a_block_has_room_for_what_it_must_hold():
    assert block_width(1) == 256
    assert block_width(10**9) == 1


def test_seeds_of_different_draws_differ():
    assert len({*spawned_seeds(0, 20), *spawned_seeds(1, 20)}) == 40


def test_a_one_sided_alternative_is_refused():
    refuse_one_sided(ContrastSpec(), "edges")
    with pytest.raises(InvalidInput, match="alternative is 'less'; edges only have two-sided tests"):
        refuse_one_sided(ContrastSpec(alternative="less"), "edges")
