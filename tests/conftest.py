"""What tests share: tiny random models for speed, the trained MiniLM for what must be true of a real one."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_DATASETS_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import json
import shutil
from pathlib import Path

import pytest

from tests.models import save_tiny_bert, save_tiny_gpt2

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
BROWSER_FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
WORDS = "river stone cloud engine paper garden window signal copper thunder harvest lantern".split()


@pytest.fixture(autouse=True)
def own_store(monkeypatch, tmp_path):
    """No test sees a store of the machine it runs on."""
    monkeypatch.delenv("LLM_MRI_STORE", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory) -> Path:
    """Folder of a random 3-layer BERT of width 16 with a word tokenizer that pads right."""
    return save_tiny_bert(tmp_path_factory.mktemp("models") / "tiny-bert")


@pytest.fixture(scope="session")
def tiny_gpt2(tmp_path_factory) -> Path:
    """Folder of a random 2-layer GPT-2 of width 16, causal, whose tokenizer pads left."""
    return save_tiny_gpt2(tmp_path_factory.mktemp("models") / "tiny-gpt2")


def make_records(n: int = 24, *, seed: int = 0) -> list[dict]:
    """``n`` labelled texts of varied length, labels a, b, c in turn, covariate ``source``."""
    import random

    rng = random.Random(seed)
    return [
        {
            "text": " ".join(rng.choices(WORDS, k=rng.randint(1, 14))),
            "label": "abc"[i % 3],
            "source": f"s{i % 2}",
        }
        for i in range(n)
    ]


@pytest.fixture(scope="session")
def tiny_corpus(tmp_path_factory) -> Path:
    """A .jsonl file of 24 records."""
    path = tmp_path_factory.mktemp("corpora") / "tiny.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in make_records()))
    return path


@pytest.fixture(scope="session")
def _tiny_store(tmp_path_factory, tiny_bert, tiny_corpus) -> Path:
    from llm_mri_store import Store

    store = Store(tmp_path_factory.mktemp("tiny") / "store")
    scan = store.scan(tiny_bert, tiny_corpus, name="tiny", pooling="mean", chunk_samples=10, device="cpu")
    scan.reduce("pca", grid=4)
    return store.path


@pytest.fixture
def tiny_store(_tiny_store, tmp_path) -> Path:
    """A test's own copy of a store: scan ``tiny`` (24 samples, 3 chunks, layers 0-3), reduction ``pca-2``."""
    return Path(shutil.copytree(_tiny_store, tmp_path / "tiny-store"))


@pytest.fixture(scope="session")
def minilm() -> Path:
    """Folder of the trained MiniLM."""
    from llm_mri_store.api.demo import offline_model

    return offline_model()


@pytest.fixture(scope="session")
def demo(tmp_path_factory):
    """The demo, run once: a ``DemoResult``. Read only."""
    from llm_mri_store.api.demo import run_demo

    return run_demo(tmp_path_factory.mktemp("demo"))


@pytest.fixture(scope="session")
def browser():
    """The system's Chromium, running: one for all tests of a process; skips where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if path is None:
        pytest.skip("no chromium is installed on this machine")
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=BROWSER_FLAGS)
        yield running
        running.close()
