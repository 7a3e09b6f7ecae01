"""Scanning the demo corpus: our scan beside a bare forward loop, and beside LLM-MRI's way of padding.

All three read the same texts with the same loaded model on as many threads; ours also writes the
store, the bare loop only pools.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import torch
from timing import in_turn, report
from transformers import AutoModel, AutoTokenizer

from llm_mri_store import Store
from llm_mri_store.api.demo import offline_model
from llm_mri_store.extraction.sources import DEMO_CORPUS

BATCH_TOKENS = 2048


def main() -> None:
    folder = str(offline_model())
    model, tokenizer = AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    texts = [json.loads(line)["text"] for line in DEMO_CORPUS.read_text().splitlines()]

    @torch.inference_mode()
    def forward(batch: list[str], padding: str | bool, length: int | None = None) -> torch.Tensor:
        inputs = tokenizer(batch, padding=padding, truncation=True, max_length=length, return_tensors="pt")
        states = model(**inputs, output_hidden_states=True).hidden_states
        mask = inputs["attention_mask"].unsqueeze(-1)
        return torch.stack([(one * mask).sum(1) / mask.sum(1) for one in states], dim=1)

    def bare_loop() -> object:
        lengths = [len(ids) for ids in tokenizer(texts)["input_ids"]]
        order = sorted(range(len(texts)), key=lambda place: -lengths[place])
        done = []
        while order:
            count = max(1, BATCH_TOKENS // lengths[order[0]])
            done.append(forward([texts[place] for place in order[:count]], padding=True))
            order = order[count:]
        return done

    def padded_to_the_longest() -> object:
        longest = max(len(ids) for ids in tokenizer(texts)["input_ids"])
        return [forward(texts[at : at + 100], "max_length", longest) for at in range(0, len(texts), 100)]

    def ours() -> object:
        with tempfile.TemporaryDirectory() as out:
            return Store(Path(out) / "store").scan(
                model, DEMO_CORPUS, tokenizer=tokenizer, pooling="mean", name="demo"
            )

    ways = {
        "bare length-sorted loop": bare_loop,
        "scan into a store": ours,
        "padded to the longest text": padded_to_the_longest,
    }
    report("Scanning 300 texts with MiniLM", in_turn(ways, rounds=3), reference="bare length-sorted loop")


if __name__ == "__main__":
    main()
