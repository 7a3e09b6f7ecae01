"""Counts the tokens of a corpus before a token scan: how many samples there will be, and their labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from llm_mri_store import schema
from llm_mri_store.errors import CorpusError
from llm_mri_store.extraction.corpus import Corpus
from llm_mri_store.extraction.encoding import encode_texts
from llm_mri_store.extraction.models import LoadedModel
from llm_mri_store.extraction.tokens import kept_tokens, token_labels, token_rows

_TEXTS_AT_ONCE: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenCensus:
    """The samples a token scan will have.

    Attributes:
        n_kept: int64 (texts,), kept tokens of each text; 0 of a text that is not read.
        labels: distinct labels of tokens, sorted.
    """

    n_kept: npt.NDArray[np.int64]
    labels: tuple[str, ...]

    def chunk_ends(self, chunk_texts: int) -> tuple[int, ...]:
        """Sample id behind the last of each chunk of so many texts."""
        ends = np.cumsum(self.n_kept)
        last = np.minimum(np.arange(chunk_texts, len(ends) + chunk_texts, chunk_texts), len(ends)) - 1
        return tuple(int(ends[place]) for place in last)


def take_census(
    model: LoadedModel, corpus: Corpus, *, step: int, max_tokens: int, chat_template: bool
) -> TokenCensus:
    """Tokenises the corpus once; only the counts are kept.

    Raises:
        CorpusError: a covariate has the name of a column of token scans, or fewer than 2 tokens are left.
        ModelError, InvalidInput: the tokenizer cannot read the texts.
    """
    for field in corpus.covariates:
        if field.name.lower() in schema.TOKEN_COLUMNS:
            raise CorpusError(
                f"column {field.name!r} of corpus {corpus.name!r} has the name of a column of token scans; "
                "rename it"
            )
    n_kept = np.zeros(corpus.rows.num_rows, dtype=np.int64)
    labels: set[str] = set(corpus.labels) if corpus.spans is None else set()
    for start in range(0, corpus.rows.num_rows, _TEXTS_AT_ONCE):
        places = [
            place
            for place in range(start, min(start + _TEXTS_AT_ONCE, corpus.rows.num_rows))
            if corpus.status[place].is_readable
        ]
        texts = corpus.rows[schema.TEXT].take(places).to_pylist()
        encoded = encode_texts(
            model, texts, max_tokens=max_tokens, chat_template=chat_template, with_spans=True
        )
        kept = kept_tokens(encoded, step=step)
        n_kept[places] = [len(one) for one in kept]
        if corpus.spans is not None:
            found = token_labels(token_rows(encoded, kept), corpus.spans.take(places).to_pylist())
            labels.update(found.drop_null().unique().to_pylist())
    if n_kept.sum() < 2:
        raise CorpusError(
            f"corpus {corpus.name!r} has {int(n_kept.sum())} tokens to read; a scan needs at least 2 samples"
        )
    return TokenCensus(n_kept=n_kept, labels=tuple(sorted(labels)))
