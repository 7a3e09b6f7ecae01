"""``llm-mri import``: activations made elsewhere, from the shell."""

import csv
import io
import json
import subprocess
import sys

import h5py
import numpy as np
import pytest

from llm_mri_store import Store
from tests.activation_files import FORMS, LAYERS, make_tokens, make_vectors, write_neurox
from tests.cli.shell import refused, shell


def ok(*words):
    result = shell(*words)
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture
def store(tmp_path):
    return ["--store", tmp_path / "store"]


def test_import_reduce_and_ask(tmp_path, tiny_corpus, store):
    path, _ = FORMS["npy"](tmp_path, make_vectors())
    words = ("import", path, "--samples", tiny_corpus, "--layers", "0,6,12", "--model", "bert", *store)
    done = ok(*words)
    assert "24 samples x 3 layers x 8" in " ".join(done.stderr.split())
    assert "next: llm-mri reduce bert-tiny" in done.stderr
    ok("reduce", *store, "--grid", "4")
    rows = json.loads(ok("heatmap", *store, "--layer", "6", "--label", "b", "--format", "json").stdout)
    assert sum(row["n"] for row in rows) == 8
    ok("graph", *store, "--format", "csv")
    ok("metrics", *store)
    counted = ok("sql", "SELECT count(*) AS n FROM activations", *store, "--format", "csv").stdout
    assert counted == "n\n72\n"
    assert ok("verify", *store).exit_code == 0
    assert "(0 to do)" in " ".join(ok(*words).stderr.split())


def test_probe_works_on_it(tmp_path, tiny_corpus, store):
    vectors = make_vectors()
    # The label is in the vectors of layer 6, and of no other.
    vectors[np.arange(24), 1, np.arange(24) % 3] += 20
    np.save(tmp_path / "acts.npy", vectors)
    ok("import", tmp_path / "acts.npy", "--samples", tiny_corpus, "--layers", "0,6,12", "-q", *store)
    ok("reduce", *store, "-q")
    rows = csv.DictReader(io.StringIO(ok("probe", *store, "--format", "csv").stdout))
    found = {row["layer"]: float(row["mean"]) for row in rows if row["features"] == "activations"}
    assert list(found) == ["0", "6", "12"]
    assert found["6"] > 0.9 > max(found["0"], found["12"])


def test_one_layer_may_be_called_layer(tmp_path, tiny_corpus, store):
    np.save(tmp_path / "acts.npy", make_vectors()[:, 0])
    ok("import", tmp_path / "acts.npy", "--samples", tiny_corpus, "--layer", "6", "-q", *store)
    assert Store(tmp_path / "store").find().layers == (6,)


def test_quiet_says_nothing_but_the_result(tmp_path, tiny_corpus, store):
    path, _ = FORMS["npz"](tmp_path, make_vectors())
    assert ok("import", path, "--samples", tiny_corpus, "-q", *store).stderr == ""


def test_what_was_told_is_shown(tmp_path, tiny_corpus, store):
    path = write_neurox(tmp_path / "acts.hdf5", make_tokens(24))
    words = ["--pooling", "mean", "--model", "bert-base", "--site", "attention", "--dtype", "float16"]
    ok("import", path, "--samples", tiny_corpus, *words, "-q", *store)
    shown = ok("show", *store).stdout
    for word in ("bert-base", "attention", "mean pooling", "float16"):
        assert word in shown


def test_layouts_and_columns(tmp_path, store):
    path, _ = FORMS["npy_layers_first"](tmp_path, make_vectors())
    (tmp_path / "s.csv").write_text("body,class\n" + "".join(f"t{i},{'ab'[i % 2]}\n" for i in range(24)))
    words = ("--layout", "layers-first", "--text-column", "body", "--label-column", "class")
    ok("import", path, "--samples", tmp_path / "s.csv", *words, "-q", *store)
    scan = Store(tmp_path / "store").find()
    assert scan.layers == (0, 1, 2)
    assert scan.labels == ("a", "b")


MISTAKES = {
    "no file": ("nowhere.npy", (), "no such file or folder"),
    "no layer": ("flat.npy", (), "say so with --layer"),
    "another count": ("short.npy", ("--layer", "1"), "of 20 samples, but samples 'tiny' has 24 rows"),
    "a layer that is not there": ("acts.npz", ("--layers", "7"), "layer 7 is not in"),
    "layers that are no numbers of all": (
        "acts.npy",
        ("--layers", "0-1"),
        "holds 3 layers, but --layers names 2",
    ),
    "not what its ending says": ("fake.npy", (), "fake.npy cannot be read"),
    "a pickle": ("acts.pt", (), "may be a pickle"),
    "tokens without a pooling": ("tokens.hdf5", (), "say with --pooling"),
    "a pooling without tokens": ("acts.npy", ("--pooling", "mean"), "leave --pooling out"),
    "a folder without activations": ("empty", (), "holds no activations"),
    "a name that cannot be one": ("acts.npy", ("--name", "../up"), "cannot name a scan"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_one_sentence_and_nothing_is_written(tmp_path, tiny_corpus, store, case):
    vectors = make_vectors()
    np.save(tmp_path / "acts.npy", vectors)
    np.save(tmp_path / "flat.npy", vectors[:, 0])
    np.save(tmp_path / "short.npy", vectors[:20, 0])
    FORMS["npz"](tmp_path, vectors)
    (tmp_path / "fake.npy").write_bytes(b"hello, world")
    (tmp_path / "acts.pt").write_bytes(b"\x80\x02}.")
    (tmp_path / "empty").mkdir()
    write_neurox(tmp_path / "tokens.hdf5", make_tokens(24))
    name, words, sentence = MISTAKES[case]
    assert sentence in refused("import", tmp_path / name, "--samples", tiny_corpus, *words, *store)
    assert not (tmp_path / "store").exists()


def test_samples_must_be_named(tmp_path):
    assert shell("import", tmp_path / "acts.npy").exit_code == 2


def test_help_names_every_form():
    shown = ok("import", "--help").stdout
    for word in (
        ".npy",
        ".npz",
        ".safetensors",
        ".parquet",
        ".hdf5",
        "save_to_disk",
        "--pooling",
        "--layers",
    ):
        assert word in shown


def test_importing_loads_no_model_library(tmp_path, tiny_corpus):
    """bfloat16 included, which numpy has no type for."""
    path, _ = FORMS["safetensors_bfloat16"](tmp_path, make_vectors())
    words = ["import", str(path), "--samples", str(tiny_corpus), "--store", str(tmp_path / "store"), "-q"]
    script = (
        "import sys\nfrom llm_mri_store.cli import main\n"
        f"main({words!r}, standalone_mode=False)\n"
        "print('loaded', sorted({'torch', 'transformers', 'datasets'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "loaded []"


def test_a_full_disk(tmp_path, tiny_corpus):
    """A limit on file size stands in for the disk."""
    path, _ = FORMS["npz"](tmp_path, make_vectors())
    words = [
        "import",
        str(path),
        "--samples",
        str(tiny_corpus),
        "--store",
        str(tmp_path / "store"),
        "--name",
        "s",
    ]
    script = (
        "import resource, signal, sys\nfrom llm_mri_store.cli import main\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))\nmain(sys.argv[1:])\n"
    )
    done = subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "no space left to write" in done.stderr.strip().splitlines()[-1]
    assert not list((tmp_path / "store").glob("scans/s/chunks/*"))
    ok(*words)
    np.testing.assert_array_equal(Store(tmp_path / "store").find().activations(6), make_vectors()[:, 1])


def test_a_layer_in_a_file_of_groups(tmp_path, tiny_corpus, store):
    with h5py.File(tmp_path / "acts.h5", "w") as file:
        for place, layer in enumerate(LAYERS):
            file[f"run/activations/layer_{layer}"] = make_vectors()[:, place]
    ok("import", tmp_path / "acts.h5", "--samples", tiny_corpus, "--layers", "0,12", "-q", *store)
    assert Store(tmp_path / "store").find().layers == (0, 12)
