"""What the server of ``tests.store.processes`` imports once for all its children."""

import torch
import transformers
from transformers import AutoConfig, AutoModel, AutoTokenizer, BertModel, PreTrainedTokenizerFast  # noqa: F401

import llm_mri_store.api.store
import llm_mri_store.pipeline.reduce
import llm_mri_store.pipeline.scan
import tests.store.stores  # noqa: F401

torch.set_num_threads(1)
transformers.utils.logging.disable_progress_bar()
