import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_mri_store.errors import InvalidInput
from llm_mri_store.store.paths import StorePaths, as_name, check_name, is_name

GOOD = ["news", "a", "0", "123", "MiniLM-L6-v2", "a.b", "a_b", "x" * 64, "main", "select", "con-1", "common"]
BAD = [
    "", ".", "..", "../x", "a/b", "a\\b", "/etc", "-x", "_x", ".x", "a.", "a b", "x" * 65, "a\n", "a\0", "ä",
    "con", "CON", "con.txt", "NUL", "Com1", "lpt9.log", "aux", "a:b", "a*", '"', "'; DROP TABLE samples;--",
]  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_a_name_any_file_system_takes_is_itself(name):
    assert check_name("scan", name) == name


@pytest.mark.parametrize("name", BAD)
def test_a_name_some_file_system_refuses_is_refused(name):
    assert not is_name(name)
    with pytest.raises(InvalidInput, match="cannot name a scan"):
        check_name("scan", name)


@given(st.text(max_size=90) | st.sampled_from([*BAD, "aux.x", "con" + "-" * 70, "prn." + "x" * 70]))
def test_any_words_make_a_valid_name(words):
    assert is_name(as_name(words))


def test_no_scan_shares_its_lock_or_its_staging_with_another(tmp_path):
    store = StorePaths(tmp_path)
    names = ["a", "a.lock", "a.owner.json", "a.lock.lock", "locks"]
    places = [store.lock(name) for name in names]
    places += [store.lock(name).with_suffix(".owner.json") for name in names]
    places += [store.scan_staging(name) for name in names]
    assert len(set(places)) == len(places)
    assert not {store.lock(name).parent for name in names} & {store.scan_staging(name) for name in names}
