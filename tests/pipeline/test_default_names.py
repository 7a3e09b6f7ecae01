"""A scan that nobody named finds a name of its own."""

from llm_mri_store import Store
from tests.conftest import make_records


def test_other_inputs_under_a_default_name_get_another_name(tiny_bert, tmp_path):
    store = Store(tmp_path / "store")
    first = store.scan(tiny_bert, make_records(6), device="cpu")
    other = store.scan(tiny_bert, make_records(7), device="cpu")
    assert first.name == "tiny-bert-records"
    assert other.name.startswith("tiny-bert-records-")
    assert len(store.scans) == 2


def test_the_same_inputs_again_find_their_scan_under_either_name(tiny_bert, tmp_path):
    store = Store(tmp_path / "store")
    names = [store.scan(tiny_bert, make_records(n), device="cpu").name for n in (6, 7)]
    assert [store.scan(tiny_bert, make_records(n), device="cpu").name for n in (6, 7)] == names
    assert len(store.scans) == 2
