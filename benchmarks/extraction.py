"""Extraction: our scan beside a bare forward loop, sentence-transformers' way, and LLM-MRI's way.

Each way runs in a process of its own, in turn, so that peak memory is its own and a noisy machine is
noisy for all. A process loads the model, reads a few texts to warm up, then is timed. Every way ends
with float32 vectors of the layers it reads; only ours also writes the store.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from timing import machine

BATCH_TOKENS = 2048
CORPORA = ("demo", "varied", "1000", "10000")
WAYS = {
    "bare length-sorted loop": "bare",
    "our loop alone, into memory": "loop",
    "ours": "ours",
    "ours, bfloat16": "ours-bf16",
    "ours, bfloat16 under autocast": "ours-autocast",
    "ours, two workers": "ours-workers",
    "sentence-transformers encode (last layer only)": "encode",
    "LLM-MRI's way, model loaded once": "peer",
    "LLM-MRI's way, model loaded per 1,000 texts": "peer-reload",
}


def corpus(name: str) -> list[dict[str, str]]:
    """Texts with labels: the demo's, 163 of lengths as varied as the animals', or 10 to 300 tokens each."""
    from llm_mri_store.extraction.sources import DEMO_CORPUS

    demo = [json.loads(line) for line in DEMO_CORPUS.read_text().splitlines()]
    if name == "demo":
        return [{"text": row["text"], "label": row["label"]} for row in demo]
    words = sorted({word for row in demo for word in row["text"].split()})
    rng = np.random.default_rng(0)
    if name == "varied":
        # Mean about 88 tokens and the longest about 480, as in the animals corpus.
        lengths = np.clip(rng.lognormal(mean=3.83, sigma=0.62, size=163), 8, 365).astype(int)
        lengths[0] = 365
    else:
        lengths = rng.integers(8, 230, size=int(name))
    return [
        {"text": " ".join(rng.choice(words, size=length)), "label": "abcd"[place % 4]}
        for place, length in enumerate(lengths)
    ]


def one_way(way: str, name: str, threads: int) -> dict[str, float]:
    """Runs one way in this process and tells what it took."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    from llm_mri_store.api.demo import offline_model

    torch.set_num_threads(threads)
    folder = str(offline_model())
    rows = corpus(name)
    texts = [row["text"] for row in rows]
    tokenizer = AutoTokenizer.from_pretrained(folder)
    # A few at a time: what the tokenizer keeps of each would count in the peak memory of every way.
    n_tokens = sum(
        len(ids)
        for at in range(0, len(texts), 100)
        for ids in tokenizer(texts[at : at + 100], truncation=True, max_length=512)["input_ids"]
    )
    dtype = {"ours-bf16": torch.bfloat16}.get(way, torch.float32)
    model = AutoModel.from_pretrained(folder, dtype=dtype).eval()

    if way == "loop":
        from llm_mri_store.extraction.models import ModelRequest, load_model

        loaded = load_model(ModelRequest(model=model, tokenizer=tokenizer))

    @torch.inference_mode()
    def forward(batch: list[str], padding: str | bool, length: int = 512) -> tuple[torch.Tensor, ...]:
        inputs = tokenizer(batch, padding=padding, truncation=True, max_length=length, return_tensors="pt")
        states: tuple[torch.Tensor, ...] = model(**inputs, output_hidden_states=True).hidden_states
        return *states, inputs["attention_mask"]

    def bare(texts: list[str]) -> object:
        lengths = [len(ids) for ids in tokenizer(texts, truncation=True, max_length=512)["input_ids"]]
        order = sorted(range(len(texts)), key=lambda place: -lengths[place])
        done = []
        while order:
            count = max(1, BATCH_TOKENS // lengths[order[0]])
            *states, mask = forward([texts[place] for place in order[:count]], padding=True)
            shares = (mask / mask.sum(1, keepdim=True)).unsqueeze(1)
            done.append(torch.stack([torch.bmm(shares, one).squeeze(1) for one in states], dim=1).numpy())
            order = order[count:]
        return np.concatenate(done)

    def peer(texts: list[str], *, reload: bool) -> object:
        """Texts padded to the longest, up to 1,000 in one pass, all states kept, then the first token's."""
        nonlocal model
        longest = max(len(ids) for ids in tokenizer(texts, truncation=True, max_length=512)["input_ids"])
        kept: list[list[np.ndarray]] = []
        for at in range(0, len(texts), 1000):
            if reload:
                model = AutoModel.from_pretrained(folder).eval()
            *states, _ = forward(texts[at : at + 1000], "max_length", longest)
            kept.append([one.numpy() for one in states])
        return [np.concatenate([one[layer][:, 0] for one in kept]) for layer in range(len(kept[0]))]

    def ours(texts: list[str], dtype: str = "auto", workers: int = 1) -> object:
        from llm_mri_store import Store

        of_model = {"device": "cpu"} if workers > 1 else {"tokenizer": tokenizer, "dtype": dtype}
        given = [{"text": text, "label": "abcd"[place % 4]} for place, text in enumerate(texts)]
        with tempfile.TemporaryDirectory() as out:
            return Store(Path(out) / "store").scan(
                folder if workers > 1 else model,
                given,
                pooling="mean",
                name="s",
                workers=workers,
                chunk_samples=min(2048, max(1, len(texts) // (2 * workers))) if workers > 1 else None,
                batch_tokens=BATCH_TOKENS,
                **of_model,
            )

    def loop(texts: list[str]) -> object:
        from llm_mri_store.extraction.capture import Reading
        from llm_mri_store.extraction.encoding import encode_texts
        from llm_mri_store.extraction.extractor import extract

        site = loaded.site("residual")
        encoded = encode_texts(loaded, texts, max_tokens=512)
        readings = [Reading(site=site, layers=site.layers, pooling="mean")]
        return extract(loaded, encoded, readings, batch_tokens=BATCH_TOKENS)

    def encode(texts: list[str]) -> object:
        from sentence_transformers import SentenceTransformer

        return SentenceTransformer(folder, device="cpu").encode(texts, batch_size=32)

    run: Callable[[list[str]], object] = {
        "bare": bare,
        "loop": loop,
        "ours": ours,
        "ours-bf16": ours,
        "ours-autocast": lambda texts: ours(texts, "bfloat16-autocast"),
        "ours-workers": lambda texts: ours(texts, workers=2),
        "encode": encode,
        "peer": lambda texts: peer(texts, reload=False),
        "peer-reload": lambda texts: peer(texts, reload=True),
    }[way]
    if way != "ours-workers":
        run(texts[:16])
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.perf_counter()
    run(texts)
    wall = time.perf_counter() - begun
    own_now, children_now = (
        resource.getrusage(resource.RUSAGE_SELF),
        resource.getrusage(resource.RUSAGE_CHILDREN),
    )
    cpu = sum(
        (now.ru_utime + now.ru_stime) - (was.ru_utime + was.ru_stime)
        for now, was in ((own_now, own), (children_now, children))
    )
    return {
        "wall": wall,
        "cpu": cpu,
        "peak_gb": max(own_now.ru_maxrss, children_now.ru_maxrss) / 1e6,
        "tokens": n_tokens,
    }


def measure(way: str, name: str, threads: int) -> dict[str, float]:
    """What one way took, in a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, "--one", way, "--corpus", name, "--threads", str(threads)],
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", nargs="+", choices=CORPORA, default=["demo", "varied"])
    parser.add_argument("--ways", nargs="+", choices=sorted(WAYS.values()))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(one_way(options.one, options.corpus[0], options.threads)))
        return
    for name in options.corpus:
        ways = {words: way for words, way in WAYS.items() if way in (options.ways or WAYS.values())}
        found: dict[str, list[dict[str, float]]] = {words: [] for words in ways}
        for _ in range(options.rounds):
            for words, way in ways.items():
                found[words].append(measure(way, name, options.threads))
        report(name, found)


def report(name: str, found: dict[str, list[dict[str, float]]]) -> None:
    reference = next(iter(found))
    print(f"\ncorpus {name}: {found[reference][0]['tokens']:,.0f} tokens; {machine()}")
    print(
        f"  {'way':<48} {'wall s':>8} {'cpu s':>8} {'tokens/s':>9} {'peak GB':>8}  speed against {reference}"
    )
    for words, rounds in found.items():
        wall = statistics.median(one["wall"] for one in rounds)
        cpu = statistics.median(one["cpu"] for one in rounds)
        peak = max(one["peak_gb"] for one in rounds)
        ratio = statistics.median(
            other["wall"] / one["wall"] for one, other in zip(rounds, found[reference], strict=True)
        )
        rate = rounds[0]["tokens"] / wall
        print(f"  {words:<48} {wall:8.2f} {cpu:8.2f} {rate:9,.0f} {peak:8.2f}  {ratio:5.2f}", flush=True)


if __name__ == "__main__":
    main()
