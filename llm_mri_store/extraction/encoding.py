"""Texts to token ids: truncation, the model's chat template, and where each token lies in its text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from transformers import PreTrainedTokenizerBase

from llm_mri_store.errors import InvalidInput, ModelError
from llm_mri_store.extraction.models import LoadedModel

_TEXTS_AT_ONCE: Final = 256
_ONLY_TEXT: Final = "a"

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedText:
    """A text as a model reads it.

    Attributes:
        ids: int64 (tokens,), special tokens included.
        token_types: int64 (tokens,), for models that tell segments apart; else None.
        is_truncated: the text did not fit, and its end was cut.
        spans: int64 (tokens, 2), characters from-to of each token in the text; -1, -1 for a token that is
            none of the text's. None where spans were not asked for.
    """

    ids: Ints
    token_types: Ints | None
    is_truncated: bool
    spans: Ints | None

    @property
    def n_tokens(self) -> int:
        """Tokens, special ones included."""
        return len(self.ids)


def encode_texts(
    model: LoadedModel,
    texts: Sequence[str],
    *,
    max_tokens: int,
    chat_template: bool = False,
    with_spans: bool = False,
) -> list[EncodedText]:
    """Token ids of texts.

    Args:
        model: whose tokenizer.
        texts: the texts.
        max_tokens: longer texts are cut (at the end, unless the tokenizer says otherwise) to this many
            tokens, special ones included.
        chat_template: put each text as a user's message into the tokenizer's chat template, up to where
            the model would answer; the template is kept whole, the text is cut.
        with_spans: say where each token lies in its text.

    Raises:
        ModelError: the tokenizer refuses the texts.
        InvalidInput: it has no chat template, or cannot say where its tokens lie.
    """
    tokenizer = model.tokenizer
    if chat_template:
        refuse_no_template(tokenizer)
    if with_spans and not tokenizer.is_fast:
        raise InvalidInput(
            f"the tokenizer of model {model.name!r} is a slow one, which cannot say where its tokens lie in "
            "a text; token scans need a fast tokenizer"
        )
    encode = _in_template if chat_template else _plain
    with_types = "token_type_ids" in model.traits.inputs
    encoded: list[EncodedText] = []
    # A few at a time: a tokenizer's own records take some hundred bytes a token.
    for start in range(0, len(texts), _TEXTS_AT_ONCE):
        part = list(texts[start : start + _TEXTS_AT_ONCE])
        try:
            encoded += encode(tokenizer, part, max_tokens, with_types, with_spans)
        except (ValueError, TypeError, OverflowError) as error:
            raise ModelError(f"the tokenizer cannot read these texts: {error}") from error
    return encoded


def refuse_no_template(tokenizer: PreTrainedTokenizerBase) -> None:
    """Refuses a tokenizer without a chat template.

    Raises:
        InvalidInput: it has none.
    """
    if not getattr(tokenizer, "chat_template", None):
        raise InvalidInput(
            "the model's tokenizer has no chat template, so texts cannot be read as messages; leave "
            "--chat-template out"
        )


def count_template_tokens(tokenizer: PreTrainedTokenizerBase) -> int:
    """Tokens that the chat template puts around a text.

    Raises:
        InvalidInput: the tokenizer has no chat template, or one that does not hold the text.
    """
    refuse_no_template(tokenizer)
    whole = tokenizer(_rendered(tokenizer, _ONLY_TEXT)[0], add_special_tokens=False)["input_ids"]
    return max(0, len(whole) - 1)


def _plain(
    tokenizer: PreTrainedTokenizerBase, texts: list[str], max_tokens: int, with_types: bool, with_spans: bool
) -> Iterator[EncodedText]:
    encoding = tokenizer(
        texts,
        truncation=True,
        max_length=max_tokens,
        return_attention_mask=False,
        # None: as the tokenizer has it. A model may take types that its tokenizer never gives.
        return_token_type_ids=None if with_types else False,
        return_offsets_mapping=with_spans,
        return_special_tokens_mask=with_spans,
    )
    if tokenizer.is_fast:
        truncated = [bool(one.overflowing) for one in encoding.encodings]
    else:
        whole = tokenizer(texts, return_attention_mask=False, verbose=False)["input_ids"]
        truncated = [len(ids) > max_tokens for ids in whole]
    for place, ids in enumerate(encoding["input_ids"]):
        spans = None
        if with_spans:
            spans = _ints(encoding["offset_mapping"][place]).reshape(-1, 2)
            spans[np.asarray(encoding["special_tokens_mask"][place], dtype=np.bool_)] = -1
        yield EncodedText(
            ids=_ints(ids),
            token_types=_types_of(encoding, place),
            is_truncated=truncated[place],
            spans=spans,
        )


def _in_template(
    tokenizer: PreTrainedTokenizerBase, texts: list[str], max_tokens: int, with_types: bool, with_spans: bool
) -> Iterator[EncodedText]:
    rendered = [_rendered(tokenizer, text) for text in texts]
    encoding = tokenizer(
        [whole for whole, _ in rendered],
        add_special_tokens=False,  # the template spells them
        return_attention_mask=False,
        return_token_type_ids=None if with_types else False,
        return_offsets_mapping=tokenizer.is_fast,
        verbose=False,
    )
    for place, (text, (_, begins)) in enumerate(zip(texts, rendered, strict=True)):
        ids, types = _ints(encoding["input_ids"][place]), _types_of(encoding, place)
        spans = np.full((len(ids), 2), -1, dtype=np.int64)
        if tokenizer.is_fast:
            found = _ints(encoding["offset_mapping"][place]).reshape(-1, 2) - begins
            inside = (found[:, 0] >= 0) & (found[:, 1] <= len(text)) & (found[:, 1] > found[:, 0])
            spans[inside] = found[inside]
        kept = _kept_in_template(spans, len(ids) - max_tokens)
        yield EncodedText(
            ids=ids[kept],
            token_types=None if types is None else types[kept],
            is_truncated=len(kept) < len(ids),
            spans=spans[kept] if with_spans else None,
        )


def _kept_in_template(spans: Ints, n_over: int) -> Ints:
    """Positions kept when ``n_over`` tokens are too many: the text's last ones go, the template stays."""
    every = np.arange(len(spans))
    if n_over <= 0:
        return every
    of_text = every[spans[:, 0] >= 0]
    if len(of_text) < n_over:
        raise InvalidInput(
            "a text does not fit into --max-tokens beside the chat template, or its tokens cannot be told "
            "from the template's (a slow tokenizer); allow more tokens"
        )
    return np.setdiff1d(every, of_text[len(of_text) - n_over :])


def _rendered(tokenizer: PreTrainedTokenizerBase, text: str) -> tuple[str, int]:
    """A text in the chat template, and the character at which it begins there."""
    try:
        whole: Any = tokenizer.apply_chat_template(
            [{"role": "user", "content": text}], tokenize=False, add_generation_prompt=True
        )
    except Exception as error:
        # A template is a program of the model's makers, which may fail in any way.
        reason = str(error).partition("\n")[0]
        raise InvalidInput(f"the chat template of the model's tokenizer fails on a text: {reason}") from error
    # Templates commonly strip what they are given.
    for form in (text, text.strip()):
        begins = str(whole).rfind(form)
        if begins >= 0:
            return str(whole), begins - (len(text) - len(text.lstrip()) if form != text else 0)
    raise InvalidInput("the chat template of the model's tokenizer does not hold the text it is given")


def _types_of(encoding: Any, place: int) -> Ints | None:
    return _ints(encoding["token_type_ids"][place]) if "token_type_ids" in encoding else None


def _ints(values: Any) -> Ints:
    return np.asarray(values, dtype=np.int64)
