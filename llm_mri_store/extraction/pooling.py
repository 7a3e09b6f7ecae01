"""How the tokens of a text become one vector: always over real tokens, by the attention mask."""

from __future__ import annotations

import torch

from llm_mri_store.errors import InvalidInput
from llm_mri_store.records.choices import POOLINGS, Pooling


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
        return _sum_of_real(states.float(), mask) / mask.sum(dim=1, keepdim=True).float()
    if pooling == "max":
        return states.float().masked_fill(~real, -torch.inf).amax(dim=1)
    raise InvalidInput(f"pooling {pooling!r} is not one of {', '.join(POOLINGS)}")


def _sum_of_real(states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Sum over real tokens; a padded position may hold anything, NaN too."""
    if states.device.type != "cpu":
        return _masked_sum(states, mask)
    # As a product with the mask the sum is some thirty times quicker here, but what lies under the
    # padding comes through where it is not finite: those texts are summed the slow way.
    summed = torch.bmm(mask.to(states.dtype).unsqueeze(1), states).squeeze(1)
    spoilt = ~torch.isfinite(summed).all(dim=1)
    if bool(spoilt.any()):
        summed[spoilt] = _masked_sum(states[spoilt], mask[spoilt])
    return summed


def _masked_sum(states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    return states.masked_fill(~mask.unsqueeze(-1).bool(), 0.0).sum(dim=1)
