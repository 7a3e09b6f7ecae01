"""Every form a corpus may have comes to the same table."""

import json
import sys

import datasets
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, IterableDataset, Value

from llm_mri_store.errors import CorpusError, UnknownName
from llm_mri_store.extraction.sources import DEMO_CORPUS, read_corpus

ROWS = [
    {"text": "a river, wide", "label": "water", "year": 1999},
    {"text": "two\nlines", "label": "other", "year": None},
    {"text": 'a "quoted" stone', "label": "water", "year": 2001},
    {"text": "\u00e9t\u00e9 \U0001f469\u200d\U0001f680", "label": "other", "year": 2002},
]
TABLE = pa.Table.from_pylist(ROWS)


def write_csv(folder, delimiter=","):
    path = folder / ("rows.csv" if delimiter == "," else "rows.tsv")
    pyarrow.csv.write_csv(TABLE, path, pyarrow.csv.WriteOptions(delimiter=delimiter))
    return path


def write_jsonl(folder):
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return path


def write_array(folder):
    path = folder / "rows.json"
    path.write_text(json.dumps(ROWS, indent=1))
    return path


def write_parquet(folder):
    path = folder / "rows.parquet"
    pq.write_table(TABLE, path)
    return path


def save_dataset(folder):
    Dataset(TABLE).save_to_disk(folder / "saved")
    return folder / "saved"


def save_splits(folder):
    DatasetDict(train=Dataset(TABLE)).save_to_disk(folder / "splits")
    return folder / "splits"


def put_in_memory(folder):
    import fsspec

    with fsspec.open(f"memory://{folder.name}/rows.jsonl", "wb") as file:
        file.write(write_jsonl(folder).read_bytes())
    return f"memory://{folder.name}/rows.jsonl"


def load_csv(folder):
    return datasets.load_dataset("csv", data_files=str(write_csv(folder)), cache_dir=str(folder / "cache"))


def in_polars(_):
    return pytest.importorskip("polars").from_arrow(TABLE)


FORMS = {
    "csv": write_csv,
    "csv named by a string": lambda folder: str(write_csv(folder)),
    "tsv": lambda folder: write_csv(folder, "\t"),
    "jsonl": write_jsonl,
    "array of json objects": write_array,
    "parquet": write_parquet,
    "save_to_disk": save_dataset,
    "save_to_disk of one split": save_splits,
    "fsspec address": put_in_memory,
    "load_dataset of a csv": load_csv,
    "Dataset": lambda _: Dataset(TABLE),
    "DatasetDict": lambda _: DatasetDict(only=Dataset(TABLE)),
    "IterableDataset": lambda _: Dataset(TABLE).to_iterable_dataset(),
    "IterableDataset without features": lambda _: IterableDataset.from_generator(lambda: iter(ROWS)),
    "pandas": lambda _: pd.DataFrame(ROWS).astype({"year": "Int64"}),
    "pandas with an index": lambda _: pd.DataFrame(ROWS, index=[9, 7, 5, 3]).astype({"year": "Int64"}),
    "polars": in_polars,
    "Arrow": lambda _: TABLE,
    "Arrow with dictionaries": lambda _: TABLE.set_column(
        1, "label", TABLE["label"].dictionary_encode()
    ).set_column(0, "text", TABLE["text"].cast(pa.large_string())),
    "Arrow with string views": lambda _: TABLE.set_column(0, "text", TABLE["text"].cast(pa.string_view())),
    "records": lambda _: ROWS,
    "a generator of records": lambda _: (row for row in ROWS),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_rows(form, tmp_path):
    _, table = read_corpus(FORMS[form](tmp_path), text_columns=("text", "label"))
    assert table.to_pylist() == ROWS


def test_folder_of_one_folder_of_texts_per_label(tmp_path):
    for label, file, text in [
        ("b", "2.txt", "second"),
        ("a", "1.txt", "\ufefffirst"),
        (".git", "x.txt", "no"),
    ]:
        (tmp_path / "corpus" / label).mkdir(parents=True, exist_ok=True)
        (tmp_path / "corpus" / label / file).write_text(text)
    name, table = read_corpus(tmp_path / "corpus")
    assert name == "corpus"
    assert table.to_pylist() == [
        {"text": "first", "label": "a", "file": "1.txt"},
        {"text": "second", "label": "b", "file": "2.txt"},
    ]


def test_a_file_is_called_by_its_stem_and_a_demo_ships(tmp_path):
    assert read_corpus(write_csv(tmp_path))[0] == "rows"
    assert read_corpus(DEMO_CORPUS)[1].num_rows == 300


def test_a_dataset_is_read_in_its_own_order(tmp_path):
    whole = Dataset.from_dict({"text": list("abcdefgh"), "label": list("xyxyxyxy")})
    chosen = whole.shuffle(seed=3).select([5, 1, 2])
    assert read_corpus(chosen)[1]["text"].to_pylist() == chosen["text"][:]


def test_reading_a_shuffled_dataset_writes_nothing_and_says_nothing(tmp_path, capfd):
    Dataset.from_dict({"text": list("abcd"), "label": list("xyxy")}).save_to_disk(tmp_path / "saved")
    shuffled = datasets.load_from_disk(str(tmp_path / "saved")).shuffle(seed=1)
    before = sorted(tmp_path.rglob("*"))
    capfd.readouterr()
    read_corpus(shuffled)
    read_corpus(tmp_path / "saved")
    assert sorted(tmp_path.rglob("*")) == before
    assert capfd.readouterr() == ("", "")


def test_class_labels_are_given_by_name_and_minus_one_is_null():
    features = Features({"text": Value("string"), "label": ClassLabel(names=["cat", "dog"])})
    dataset = Dataset.from_dict({"text": ["a", "b", "c"], "label": [1, 0, -1]}, features=features)
    assert read_corpus(dataset)[1]["label"].to_pylist() == ["dog", "cat", None]
    assert read_corpus(dataset.to_iterable_dataset())[1]["label"].to_pylist() == ["dog", "cat", None]


def test_several_splits_need_a_choice(tmp_path):
    splits = DatasetDict(train=Dataset(TABLE), test=Dataset(TABLE.slice(0, 2)))
    splits.save_to_disk(tmp_path / "splits")
    for corpus in (splits, tmp_path / "splits"):
        with pytest.raises(CorpusError, match=r"has the splits train, test; choose one with --split"):
            read_corpus(corpus)
        with pytest.raises(UnknownName, match=r"split 'tset' is not in .*; did you mean 'test'\?"):
            read_corpus(corpus, split="tset")
        assert read_corpus(corpus, split="test")[1].num_rows == 2


@pytest.mark.parametrize("corpus", [ROWS, TABLE, Dataset(TABLE), DEMO_CORPUS])
def test_a_split_of_what_has_none_is_refused(corpus):
    with pytest.raises(CorpusError, match="splits"):
        read_corpus(corpus, split="train")


@pytest.mark.parametrize("option", ["subset", "revision"])
def test_what_only_the_hub_has_is_refused_elsewhere(option):
    with pytest.raises(CorpusError, match="only a dataset of the Hugging Face Hub"):
        read_corpus(ROWS, **{option: "x"})


@pytest.mark.parametrize("name", ["nobody/has-this", "no-such-set"])
def test_a_hub_dataset_that_is_not_given_is_one_sentence(name, capfd):
    with pytest.raises(CorpusError, match=f"no corpus '{name}': it is no file or folder here") as caught:
        read_corpus(name)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        ("text,label\na,x\n", [("a", "x")]),
        ("\ufefftext,label\na,x\n", [("a", "x")]),
        ("text,label\r\na,x\r\nb,y\r\n", [("a", "x"), ("b", "y")]),
        ('text,label\n"a\nb",x\n', [("a\nb", "x")]),
        ("text,label\n,x\na,\n", [(None, "x"), ("a", None)]),
        ('text,label\n"",x\n', [("", "x")]),
        ("text,label\nNA,null\n", [("NA", "null")]),
        ("text,label\n2020-01-01,01\n", [("2020-01-01", "01")]),
        ("text,label\n1.50,true\n", [("1.50", "true")]),
        ("text,label\na\0b,x\n", [("a\0b", "x")]),
    ],
)
def test_csv_texts_and_labels_are_read_as_they_are_written(tmp_path, content, rows):
    path = tmp_path / "rows.csv"
    path.write_bytes(content.encode())
    table = read_corpus(path, text_columns=("text", "label"))[1]
    assert [tuple(row.values()) for row in table.to_pylist()] == rows


def test_a_csv_may_hold_a_text_longer_than_a_block_and_a_late_change_of_type(tmp_path):
    path = tmp_path / "rows.csv"
    lines = ["text,label,code", f"{'x' * 2_000_000},a,1", *["y,b,2"] * 5, "z,a,unknown"]
    path.write_text("\n".join(lines))
    table = read_corpus(path, text_columns=("text", "label"))[1]
    assert len(table["text"][0].as_py()) == 2_000_000
    assert table["code"].to_pylist() == ["1", *["2"] * 5, "unknown"]


def test_json_texts_that_look_like_dates_stay_texts(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text(
        '\ufeff{"text": "2020-01-01", "label": "2021-01-01"}\r\n\n{"text": "b", "label": "c"}\r\n'
    )
    assert read_corpus(path)[1].to_pylist() == [
        {"text": "2020-01-01", "label": "2021-01-01"},
        {"text": "b", "label": "c"},
    ]


def test_a_key_that_some_records_lack_is_null_there():
    table = read_corpus([{"text": "a"}, {"text": "b", "label": "x"}, {"label": "y"}])[1]
    assert table.to_pylist() == [
        {"text": "a", "label": None},
        {"text": "b", "label": "x"},
        {"text": None, "label": "y"},
    ]


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("a.csv", b"", "is empty"),
        ("a.tsv", b"", "is empty"),
        ("a.csv", b"text,label\na,b\nc,d,e\n", "Row #3: Expected 2 columns, got 3"),
        ("a.csv", b"text,label\n\xff\xfe,x\n", "invalid UTF8"),
        ("a.csv", "text,label\na,b\n".encode("utf-16"), "encoded as UTF-16; save it as UTF-8"),
        ("a.jsonl", "{}".encode("utf-16"), "encoded as UTF-16; save it as UTF-8"),
        ("a.jsonl", b'{"text": "a"}\n{"text": "b"\n', "line 2 of .* is no JSON object"),
        ("a.jsonl", b'{"text": "a"}\n\n["b"]\n', "line 3 of .* is no JSON object, but list"),
        ("a.jsonl", b'{"text": "\\ud800"}\n', "half a surrogate pair in row 0"),
        (
            "a.jsonl",
            b'{"text": "a"}\n{"text": 1}\n',
            "column 'text' .* row 1 holds 1 where earlier rows hold such as 'a'",
        ),
        ("a.jsonl", b'{"text": "a"}\n{"text": "a", "text": "b"}\n', "line 2 .* it has the name 'text' twice"),
        ("a.json", b'[{"text": "a", "text": "b"}]', "it has the name 'text' twice"),
        ("a.jsonl", b"\xff\xff", "cannot be read: 'utf-8' codec"),
        ("a.json", b"[1]", "row 0 of .* is no mapping"),
        ("a.json", b'[{"text": 1}', "is no array of JSON objects"),
        ("a.parquet", b"PAR1 not at all", "cannot be read as parquet"),
        ("a.txt", b"text", "is of no form known here"),
    ],
)
def test_a_file_that_cannot_be_read_says_where_and_why(tmp_path, file, content, message):
    (tmp_path / file).write_bytes(content)
    with pytest.raises(CorpusError, match=message) as caught:
        read_corpus(tmp_path / file, text_columns=("text", "label"))
    assert file in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("corpus", "message"),
    [
        ("no/such/file.csv", "there is no such file"),
        ("./nowhere", "there is no such file or folder"),
        ("memory://no/such.csv", "cannot be read"),
        ("memory://no/such.txt", "must end in .csv"),
        (7, "a corpus cannot be read from int"),
        ({"train": ROWS}, "a corpus cannot be read from dict"),
        ([1, 2], "row 0 of records is no mapping"),
        ([{"text": "a"}, "b"], "row 1 of records is no mapping"),
        (
            [{"text": "a"}, {"text": "\ud83d"}],
            "column 'text' of records holds half a surrogate pair in row 1",
        ),
        ([{"text": "a", "n": 2**70}, {"text": "b", "n": 1}], "column 'n'"),
        (pd.DataFrame([["a", 1, 2]], columns=["text", "label", "label"]), "cannot be read as Arrow"),
        (pd.DataFrame({"text": ["a", 1]}, dtype=object), "cannot be read as Arrow"),
        (pd.DataFrame({"text": ["a", "\ud83d"]}, dtype=object), "cannot be read as Arrow"),
    ],
)
def test_what_is_no_corpus_is_refused_in_one_sentence(corpus, message):
    with pytest.raises(CorpusError, match=message) as caught:
        read_corpus(corpus)
    assert "\n" not in str(caught.value)


def test_an_empty_folder_is_no_corpus(tmp_path):
    with pytest.raises(CorpusError, match="holds no corpus"):
        read_corpus(tmp_path)


def test_a_damaged_saved_dataset_is_one_sentence(tmp_path):
    folder = save_dataset(tmp_path)
    next(folder.glob("*.arrow")).write_bytes(b"not arrow")
    with pytest.raises(CorpusError, match="cannot be read") as caught:
        read_corpus(folder)
    assert "\n" not in str(caught.value)


def test_records_are_read_without_the_datasets_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    assert read_corpus(ROWS)[1].num_rows == 4
    assert read_corpus(DEMO_CORPUS)[1].num_rows == 300
