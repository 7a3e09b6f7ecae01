"""What decides a scan's identity does not depend on the process."""

import os
import subprocess
import sys

import pytest

CODE = """
from llm_mri_store.extraction.corpus import prepare_corpus
from llm_mri_store.extraction.sources import DEMO_CORPUS, read_corpus
name, table = read_corpus(DEMO_CORPUS)
print(table.schema.names, prepare_corpus(name, table, text_column="text", label_column="label").fingerprint)
"""


@pytest.mark.parametrize("suffix", ["", ".parquet"])
def test_a_corpus_has_one_fingerprint_in_every_process(tmp_path, suffix):
    code = CODE
    if suffix:
        code = CODE.replace("read_corpus(DEMO_CORPUS)", "read_corpus('demo.parquet')")
        code = "import pyarrow.json, pyarrow.parquet as pq\n" + code.replace(
            "name, table",
            "pq.write_table(pyarrow.json.read_json(DEMO_CORPUS), 'demo.parquet')\nname, table",
            1,
        )
    seen = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
            capture_output=True,
            text=True,
            check=True,
            cwd=tmp_path,
        ).stdout
        for seed in range(4)
    }
    assert len(seen) == 1
    assert "['text', 'label', 'tense', 'n_words']" in seen.pop()
