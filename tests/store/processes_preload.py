"""What the server of ``tests.store.processes`` imports once for all its children."""
# ruff: noqa: F401 - imported to be there, not to be used

import pyarrow.parquet
import torch
import transformers
from transformers import AutoConfig, AutoModel, AutoTokenizer, BertModel, PreTrainedTokenizerFast

import llm_mri_store.analysis.quality
import llm_mri_store.api.plot
import llm_mri_store.api.store
import llm_mri_store.pipeline.reduce
import llm_mri_store.pipeline.scan
import llm_mri_store.store.prune
import llm_mri_store.store.repair
import llm_mri_store.store.verify
import tests.store.stores

torch.set_num_threads(1)
transformers.utils.logging.disable_progress_bar()
