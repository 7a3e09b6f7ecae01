"""What decides a scan's identity does not depend on the process."""

import json
import os
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from llm_mri_store.extraction.sources import DEMO_CORPUS

CODE = """
import sys
from llm_mri_store.extraction.corpus import prepare_corpus
from llm_mri_store.extraction.sources import read_corpus
name, table = read_corpus(sys.argv[1])
print(table.schema.names, prepare_corpus(name, table, text_column="text", label_column="label").fingerprint)
"""


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_a_corpus_has_one_fingerprint_in_every_process(tmp_path, suffix):
    # Written here: pyarrow's reader of JSON, in a child that ends at once, has aborted it at its exit.
    rows = [json.loads(line) for line in DEMO_CORPUS.read_text().splitlines()]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "demo.parquet")
    corpus = DEMO_CORPUS if suffix == ".jsonl" else tmp_path / "demo.parquet"
    seen = {
        subprocess.run(
            [sys.executable, "-c", CODE, corpus],
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in range(4)
    }
    assert len(seen) == 1
    assert "['text', 'label', 'tense', 'n_words']" in seen.pop()
