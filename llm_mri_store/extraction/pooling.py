"""How the tokens of a text become one vector: always over real tokens, by the attention mask."""

from __future__ import annotations

import torch

from llm_mri_store.errors import InvalidInput
from llm_mri_store.records import POOLINGS, Pooling


def pool(states: torch.Tensor, mask: torch.Tensor, pooling: Pooling) -> torch.Tensor:
    """One vector per text.

    Args:
        states: hidden states, (texts, tokens, hidden), any float dtype.
        mask: attention mask, (texts, tokens), 1 on real tokens, whichever side the padding is on.
        pooling: ``first`` or ``last`` real token, ``mean`` or ``max`` over real tokens.

    Returns:
        float32 (texts, hidden); computed in float32 whatever the states' dtype.

    Raises:
        InvalidInput: the pooling is not known.
    """
    texts = torch.arange(states.shape[0], device=states.device)
    if pooling == "first":
        return states[texts, mask.argmax(dim=1)].float()
    if pooling == "last":
        last = mask.shape[1] - 1 - mask.flip(dims=[1]).argmax(dim=1)
        return states[texts, last].float()
    real = mask.unsqueeze(-1).bool()
    if pooling == "mean":
        # A padded position may hold anything, NaN too: it is replaced, not multiplied by zero.
        summed = states.float().masked_fill(~real, 0.0).sum(dim=1)
        return summed / mask.sum(dim=1, keepdim=True).float()
    if pooling == "max":
        return states.float().masked_fill(~real, -torch.inf).amax(dim=1)
    raise InvalidInput(f"pooling {pooling!r} is not one of {', '.join(POOLINGS)}")
