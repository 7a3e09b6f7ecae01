"""Token scans: which tokens of a text are kept, what each one says, and which label its place has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from llm_mri_store.extraction.encoding import EncodedText
from llm_mri_store.extraction.spans import OUTSIDE

_CONTEXT: Final = 40

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRows:
    """The kept tokens of some texts, a row each, in the order of texts and positions.

    Attributes:
        text: int64 (rows,), place of the token's text among those given.
        position: int64 (rows,), the token's place in what the model reads, 0-based.
        span: int64 (rows, 2), its characters from-to in the text.
    """

    text: Ints
    position: Ints
    span: Ints


def kept_tokens(texts: Sequence[EncodedText], *, step: int) -> list[Ints]:
    """Per text the positions of the tokens that are samples: every ``step``-th of the text's own.

    Tokens that are none of the text's (the tokenizer's, a template's) are not counted and not kept.

    Args:
        texts: texts encoded with spans.
        step: 1 keeps all.
    """
    return [
        np.flatnonzero(text.spans[:, 1] > text.spans[:, 0])[::step]
        if text.spans is not None
        else np.empty(0, dtype=np.int64)
        for text in texts
    ]


def token_rows(texts: Sequence[EncodedText], kept: Sequence[Ints]) -> TokenRows:
    """The kept tokens as rows."""
    spans = [
        text.spans[positions]
        for text, positions in zip(texts, kept, strict=True)
        if text.spans is not None and len(positions)
    ]
    return TokenRows(
        text=np.repeat(np.arange(len(texts)), [len(one) for one in kept]),
        position=np.concatenate([np.empty(0, dtype=np.int64), *kept]),
        span=np.concatenate([np.empty((0, 2), dtype=np.int64), *spans]),
    )


def token_words(rows: TokenRows, texts: Sequence[str]) -> tuple[list[str], list[str]]:
    """What each token says, and a few words around it with the token between angle quotes.

    >>> rows = TokenRows(text=np.array([0]), position=np.array([2]), span=np.array([[4, 7]]))
    >>> token_words(rows, ["the cat sat"])
    (['cat'], ['the «cat» sat'])
    """
    words, contexts = [], []
    for place, (start, end) in zip(rows.text, rows.span, strict=True):
        text = texts[place]
        words.append(text[start:end])
        before, after = text[max(0, start - _CONTEXT) : start], text[end : end + _CONTEXT]
        contexts.append(
            ("…" if start > _CONTEXT else "")
            + f"{before}«{text[start:end]}»{after}"
            + ("…" if end + _CONTEXT < len(text) else "")
        )
    return words, contexts


def token_labels(rows: TokenRows, spans: Sequence[Any]) -> pa.Array:
    """The label of each token: that of the span which covers most of it, the earlier one where two do.

    Args:
        rows: the tokens.
        spans: per text its labelled spans, mappings of start, end and label in ascending order; None for a
            text that nobody labelled, whose tokens have no label.

    Returns:
        Strings; ``O`` for a token in no span.
    """
    labels: list[str | None] = []
    for place, (start, end) in zip(rows.text, rows.span, strict=True):
        of_text = spans[place]
        if of_text is None:
            labels.append(None)
            continue
        best, most = OUTSIDE, 0
        for span in of_text:
            shared = min(end, span["end"]) - max(start, span["start"])
            if shared > most:
                best, most = span["label"], shared
        labels.append(best)
    return pa.array(labels, pa.string())
