"""The shell ``llm-mri``: parse, call one method, print."""

from llm_mri_store.cli.main import main as main
