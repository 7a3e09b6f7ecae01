"""Several processes on one scan: the same rows, whoever computes them and whoever dies."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from llm_mri_store import Store
from llm_mri_store.errors import LlmMriError, ModelError
from llm_mri_store.pipeline import workers as workers_module
from llm_mri_store.pipeline.claims import Claims
from llm_mri_store.store.paths import StorePaths
from llm_mri_store.store.verify import verify_store
from tests.conftest import make_records

OPTIONS = {"device": "cpu", "chunk_samples": 4, "name": "s", "pooling": "mean"}


@pytest.fixture
def started(monkeypatch):
    """The worker processes a test starts."""
    processes = []
    start = workers_module._start

    def remember(*args):
        worker = start(*args)
        processes.append(worker.process)
        return worker

    monkeypatch.setattr(workers_module, "_start", remember)
    return processes


def test_each_piece_of_work_is_claimed_once_whoever_asks(tmp_path):
    claims = Claims(tmp_path / "claims")
    claims.offer(200)
    taken: list[list[int]] = [[] for _ in range(6)]

    def work(number):
        own = Claims(tmp_path / "claims")
        while (nth := own.take(number)) is not None:
            taken[number].append(nth)
            own.done(nth, number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(nth for own in taken for nth in own) == list(range(200))
    assert claims.n_left == 0


def test_what_a_dead_worker_had_taken_is_offered_again(tmp_path):
    claims = Claims(tmp_path / "claims")
    claims.offer(3)
    assert [claims.take(0), claims.take(1), claims.take(0)] == [0, 1, 2]
    assert claims.take(1) is None
    claims.done(1, 1)
    assert claims.hand_on(0) == 2
    assert [claims.take(1), claims.take(1), claims.take(1)] == [0, 2, None]


def test_two_workers_give_the_rows_of_one(tmp_path, tiny_bert):
    records = make_records(40)
    one = Store(tmp_path / "one").scan(tiny_bert, records, **OPTIONS)
    told = []
    two = Store(tmp_path / "two").scan(tiny_bert, records, workers=2, progress=told.append, **OPTIONS)
    assert two.is_complete
    assert two.samples().arrow.to_pylist() == one.samples().arrow.to_pylist()
    for layer in one.layers:
        np.testing.assert_allclose(two.activations(layer), one.activations(layer), atol=1e-5)
    assert two.spec == one.spec
    assert told[-1].done == told[-1].total
    assert not verify_store(StorePaths(tmp_path / "two"))
    assert not list((tmp_path / "two/_staging").rglob("*.parquet"))


def test_workers_share_scans_of_tokens_with_labels_of_their_own(tmp_path, tiny_bert):
    records = [
        {"text": row["text"], "tags": [word[0] for word in row["text"].split()]} for row in make_records(24)
    ]
    options = {
        "pooling": "tokens",
        "token_label_column": "tags",
        "name": "s",
        "chunk_samples": 6,
        "device": "cpu",
    }
    one = Store(tmp_path / "one").scan(tiny_bert, records, **options)
    two = Store(tmp_path / "two").scan(tiny_bert, records, workers=2, **options)
    assert two.samples().arrow.to_pylist() == one.samples().arrow.to_pylist()


def test_a_worker_that_is_killed_leaves_its_work_to_the_others(tmp_path, tiny_bert, started):
    records = make_records(400)
    killed = threading.Event()

    def kill_one(_):
        if not killed.is_set():
            killed.set()
            os.kill(started[0].pid, signal.SIGKILL)

    scan = Store(tmp_path / "s").scan(tiny_bert, records, workers=2, progress=kill_one, **OPTIONS)
    assert killed.is_set()
    assert scan.is_complete
    assert [row["sample_id"] for row in scan.samples().arrow.to_pylist()] == list(range(400))
    assert not verify_store(StorePaths(tmp_path / "s"))


def test_when_all_workers_die_it_says_so_and_can_go_on(tmp_path, tiny_bert, started):
    records = make_records(400)

    def kill_all(_):
        for process in started:
            process.kill()

    store = Store(tmp_path / "s")
    with pytest.raises(ModelError, match=r"the workers ended with \d+ chunks still to do"):
        store.scan(tiny_bert, records, workers=2, progress=kill_all, **OPTIONS)
    assert all(process.poll() is not None for process in started)
    assert store.scan(tiny_bert, records, **OPTIONS).is_complete


def test_what_a_worker_meets_is_said_as_if_it_were_met_here(tmp_path, tiny_bert, started, monkeypatch):
    monkeypatch.setattr(workers_module, "_devices", lambda device, n: ["cuda:7"] * n)
    with pytest.raises(LlmMriError, match="device 'cuda:7' is not there"):
        Store(tmp_path / "s").scan(tiny_bert, make_records(), workers=2, **OPTIONS)
    assert all(process.poll() is not None for process in started)


def test_workers_are_as_strict_as_they_are_told(tmp_path, tiny_bert):
    folder = tmp_path / "broken"
    shutil.copytree(tiny_bert, folder)
    weights = load_file(folder / "model.safetensors")
    name = next(name for name in weights if name.endswith("word_embeddings.weight"))
    weights[name][8:] = torch.nan
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match="returns NaN or infinity for"):
        Store(tmp_path / "s").scan(folder, make_records(), workers=2, strict=True, **OPTIONS)


SCRIPT = """
import sys
from llm_mri_store import Store
from tests.conftest import make_records

def tell(progress):
    print(progress.done, flush=True)

Store(sys.argv[1]).scan(
    sys.argv[2], make_records(4000), workers=2, progress=tell, device="cpu", chunk_samples=4, name="s"
)
"""


@pytest.mark.slow
def test_workers_end_when_the_process_that_holds_the_lock_is_killed(tmp_path, tiny_bert):
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    parent = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "s"), str(tiny_bert)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=root,
        text=True,
    )
    parent.stdout.readline()
    children = subprocess.run(
        ["ps", "--ppid", str(parent.pid), "-o", "pid="], capture_output=True, text=True, check=True
    ).stdout.split()
    assert len(children) == 2
    parent.kill()
    parent.wait()
    parent.stdout.close()
    ends = time.monotonic() + 20
    while time.monotonic() < ends and any(os.path.exists(f"/proc/{child}") for child in children):
        time.sleep(0.1)
    assert not any(os.path.exists(f"/proc/{child}") for child in children)
    assert not verify_store(StorePaths(tmp_path / "s"))
