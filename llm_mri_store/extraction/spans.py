"""Labels of parts of a text: columns of spans, or of one tag per word, as spans of characters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

import pyarrow as pa

from llm_mri_store.errors import CorpusError

OUTSIDE: Final = "O"
"""Label of a token in no span: the O of the IOB formats."""

SPANS: Final = pa.list_(
    pa.struct([pa.field("start", pa.int64()), pa.field("end", pa.int64()), pa.field("label", pa.string())])
)
"""Arrow type of a column of spans: characters from-to, and a label."""

_LABEL_KEYS: Final = ("label", "tag", "type", "entity", "entity_group", "ner")


def join_words(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Lists of words as texts, the words separated by single spaces.

    >>> join_words(pa.chunked_array([[["a", "cat"], None]])).to_pylist()
    ['a cat', None]
    """
    texts = [
        None if words is None else " ".join(word or "" for word in words) for words in values.to_pylist()
    ]
    return pa.chunked_array([pa.array(texts, pa.string())])


def is_words(kind: pa.DataType) -> bool:
    """True for a column of lists of strings."""
    return is_list(kind) and (
        pa.types.is_string(kind.value_type) or pa.types.is_large_string(kind.value_type)
    )


def is_list(kind: pa.DataType) -> bool:
    """True for a column of lists of any form."""
    return bool(
        pa.types.is_list(kind)
        or pa.types.is_large_list(kind)
        or pa.types.is_fixed_size_list(kind)
        or pa.types.is_list_view(kind)
    )


def spans_of(
    values: pa.ChunkedArray, texts: pa.ChunkedArray, words: pa.ChunkedArray | None, *, column: str, where: str
) -> pa.ChunkedArray:
    """A column that labels parts of texts, as spans.

    Args:
        values: per text a list of mappings with start, end and a label (``label``, ``tag``, ``type``,
            ``entity``, ``entity_group`` or ``ner``), in characters; or a list of tags, strings or integers,
            one per word.
        texts: the texts.
        words: the texts as lists of words where the corpus has them so; else a text's words are what
            white space separates.
        column: name of the column, for messages.
        where: name of the corpus, for messages.

    Returns:
        A column of type ``SPANS``, the spans of a text by their start; NULL where ``values`` is.

    Raises:
        CorpusError: spans or tags do not fit the texts; the message names the row.
    """
    name = f"column {column!r} of corpus {where!r}"
    if not is_list(values.type):
        raise CorpusError(
            f"{name} holds {values.type}; labels of tokens are lists of spans (start, end, label) or of one "
            "tag per word"
        )
    item = values.type.value_type
    are_spans = pa.types.is_struct(item) or pa.types.is_null(item)
    split = [None] * len(texts) if words is None else words.to_pylist()
    rows: list[list[dict[str, Any]] | None] = []
    for place, (given, text, own) in enumerate(
        zip(values.to_pylist(), texts.to_pylist(), split, strict=True)
    ):
        if given is None or text is None:
            rows.append(None)
        elif are_spans:
            rows.append([_span(one, text, f"row {place} of {name}") for one in given])
        else:
            rows.append(_tagged(given, text, own, f"row {place} of {name}"))
        if rows[-1] is not None:
            rows[-1].sort(key=lambda span: (span["start"], span["end"]))
    return pa.chunked_array([pa.array(rows, SPANS)])


def _span(given: Any, text: str, where: str) -> dict[str, Any]:
    label = next((given[key] for key in _LABEL_KEYS if isinstance(given, Mapping) and key in given), None)
    start, end = (given.get(key) if isinstance(given, Mapping) else None for key in ("start", "end"))
    if not isinstance(start, int) or not isinstance(end, int) or label is None:
        raise CorpusError(
            f"{where} holds a span without start, end and label; expected such as "
            "{'start': 0, 'end': 5, 'label': 'PER'}"
        )
    if not 0 <= start < end <= len(text):
        raise CorpusError(
            f"{where} holds a span of characters {start}-{end}, but its text has {len(text)}; count from 0, "
            "the end behind the last character"
        )
    return {"start": start, "end": end, "label": str(label)}


def _tagged(tags: Sequence[Any], text: str, words: list[str] | None, where: str) -> list[dict[str, Any]]:
    own = text.split() if words is None else [word or "" for word in words]
    if len(own) != len(tags):
        raise CorpusError(
            f"{where} has {len(tags)} tags for {len(own)} words; give one tag per word, or spans"
        )
    if words is None:
        starts, at = [], 0
        for word in own:
            at = text.index(word, at)
            starts.append(at)
            at += len(word)
    else:
        # As join_words puts them together.
        starts = [0]
        for one, _ in pairwise(own):
            starts.append(starts[-1] + len(one) + 1)
    return [
        {"start": start, "end": start + len(word), "label": str(tag)}
        for word, tag, start in zip(own, tags, starts, strict=False)
        if word and tag is not None and str(tag) != OUTSIDE
    ]
