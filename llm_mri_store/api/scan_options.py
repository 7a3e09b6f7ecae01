"""What a scan may be told, and the request it makes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypedDict

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from llm_mri_store.extraction.sources import CorpusLike
    from llm_mri_store.pipeline.request import ScanRequest


class ScanOptions(TypedDict, total=False):
    """What a scan may be told.

    Attributes:
        name: name of the scan.
        model_name: what to call the model in titles and tables.
        tokenizer: the tokenizer of a loaded model.
        revision: branch, tag or commit of a Hub model.
        device: auto, or what torch calls a device.
        dtype: auto, float32, bfloat16, float16, or bfloat16-autocast (float32 weights, products in bfloat16).
        random_weights: a seed: fresh weights instead of the trained ones.
        trust_remote_code: run Python code that comes with the model.
        side: of an encoder-decoder model the half that is read: encoder (by default) or decoder, which reads
            the text shifted by one while it attends to the encoder's reading of it.
        text_column, label_column: columns of the corpus.
        token_label_column: for pooling ``tokens``: a column of spans, or of one tag per word.
        split, subset, corpus_revision: which part of a dataset.
        limit: first rows only.
        keep_invalid: keep null texts and labels, with a status.
        token_step: for pooling ``tokens``: keep every so-many-th token of a text.
        chat_template: read each text as a user's message in the model's chat template.
        force: allow pooling ``first`` on a causal model.
        strict: refuse activations that are not finite, instead of keeping the sample with a status.
        layers: layers to keep.
        max_tokens: tokens a text is cut to.
        batch_tokens: most padded tokens per forward pass; by default tried out where that pays.
        chunk_samples: texts per commit.
        workers: processes that share the work.
    """

    name: str | None
    model_name: str | None
    tokenizer: PreTrainedTokenizerBase | None
    revision: str | None
    device: str
    dtype: str
    random_weights: int | None
    trust_remote_code: bool
    side: str | None
    text_column: str
    label_column: str
    token_label_column: str | None
    split: str | None
    subset: str | None
    corpus_revision: str | None
    limit: int | None
    keep_invalid: bool
    token_step: int
    chat_template: bool
    force: bool
    strict: bool
    layers: Sequence[int] | None
    max_tokens: int | None
    batch_tokens: int | None
    chunk_samples: int | None
    workers: int


_MODEL_OPTIONS: Final = frozenset(
    {"tokenizer", "revision", "device", "dtype", "random_weights", "trust_remote_code", "side"}
)


def scan_request(
    model: str | Path | PreTrainedModel,
    corpus: CorpusLike,
    *,
    sites: Sequence[str],
    poolings: Sequence[str],
    options: ScanOptions,
) -> ScanRequest:
    """The request of a model, a corpus and options."""
    from llm_mri_store.extraction.models import ModelRequest
    from llm_mri_store.pipeline.request import ScanRequest

    given: dict[str, Any] = {**options}
    of_model = {name: given.pop(name) for name in sorted(_MODEL_OPTIONS & given.keys())}
    request = ModelRequest(model=model, name=given.pop("model_name", None), **of_model)
    return ScanRequest(model=request, corpus=corpus, sites=tuple(sites), poolings=tuple(poolings), **given)
