"""What a scan is asked to be, and the refusal of what cannot be, before anything is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from llm_mri_store.errors import InvalidInput
from llm_mri_store.extraction.choices import TOKENS, check_pooling
from llm_mri_store.extraction.models import ModelRequest
from llm_mri_store.extraction.sources import CorpusLike
from llm_mri_store.store.paths import check_name

RESIDUAL: Final = "residual"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanRequest:
    """What to scan and how. None means: as the model, the device or an earlier start of it has it.

    Attributes:
        model: which model.
        corpus: a path, a Hub id, or what holds rows (see ``extraction.sources.read_corpus``).
        name: name of the scan; by default made of model and corpus, and of the identity where that is taken.
            Of several scans the sites and poolings that differ are added to it.
        text_column, label_column: columns of the corpus.
        token_label_column: for pooling ``tokens``: a column of spans, or of one tag per word, that labels the
            tokens; by default a token has its text's label.
        split, subset, corpus_revision: which part of a dataset.
        limit: read only the first rows.
        keep_invalid: keep rows with null text or label, with a status, instead of refusing them.
        sites: where in a block activations are read: named sites, or module path patterns with ``{layer}``.
        poolings: auto, first, last, mean, max, or tokens (each token is a sample). One forward pass makes a
            scan of each site with each pooling.
        token_step: for pooling ``tokens``: keep every so-many-th token of a text.
        chat_template: read each text as a user's message in the model's chat template.
        force: allow pooling ``first`` for a causal model.
        strict: end with an error where the model returns NaN or infinity, instead of keeping the sample with
            a status.
        layers: layers to keep, of those the site has; all by default.
        max_tokens: truncate texts to this many tokens; by default what the model can take.
        batch_tokens: most padded tokens in one forward pass; by default tried out where that pays.
        chunk_samples: texts per committed chunk.
        workers: processes that share the work; on several CUDA devices one each.
    """

    model: ModelRequest
    corpus: CorpusLike
    name: str | None = None
    text_column: str = "text"
    label_column: str = "label"
    token_label_column: str | None = None
    split: str | None = None
    subset: str | None = None
    corpus_revision: str | None = None
    limit: int | None = None
    keep_invalid: bool = False
    sites: Sequence[str] = (RESIDUAL,)
    poolings: Sequence[str] = ("auto",)
    token_step: int = 1
    chat_template: bool = False
    force: bool = False
    strict: bool = False
    layers: Sequence[int] | None = None
    max_tokens: int | None = None
    batch_tokens: int | None = None
    chunk_samples: int | None = None
    workers: int = 1


def refuse_bad_request(request: ScanRequest) -> None:
    """Refuses what no model and no corpus could make good.

    Raises:
        InvalidInput: an option is out of range, or options do not go together.
    """
    for option, value in (
        ("--limit", request.limit),
        ("--max-tokens", request.max_tokens),
        ("--batch-tokens", request.batch_tokens),
        ("--chunk-samples", request.chunk_samples),
        ("--every", request.token_step),
        ("--workers", request.workers),
    ):
        if value is not None and value < 1:
            raise InvalidInput(f"{option} must be at least 1, got {value}")
    seed = request.model.random_weights
    if seed is not None and (isinstance(seed, bool) or seed < 0):
        raise InvalidInput(f"random weights are drawn with a seed, a whole number from 0 on; got {seed}")
    if not request.sites or not request.poolings:
        raise InvalidInput("a scan needs at least one site and one pooling")
    for pooling in request.poolings:
        check_pooling(pooling)
    if TOKENS not in request.poolings:
        if request.token_label_column is not None:
            raise InvalidInput("--token-label-column labels tokens; it needs --pooling tokens")
        if request.token_step != 1:
            raise InvalidInput("--every chooses among tokens; it needs --pooling tokens")
    if request.name is not None:
        check_name("scan", request.name)
