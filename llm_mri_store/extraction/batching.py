"""Which texts go through the model together: sorted by length, bounded by a token budget."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def plan_batches(
    n_tokens: Sequence[int], *, batch_tokens: int, equal_lengths: bool = False
) -> list[npt.NDArray[np.intp]]:
    """Batches of texts of like length, the longest first.

    A pure function of the lengths, so a chunk computed again is computed in the same batches.

    Args:
        n_tokens: tokens of each text.
        batch_tokens: most tokens in a batch, padding included; a longer text goes alone.
        equal_lengths: only texts of one length together, for a model that would read padding.

    Returns:
        Per batch the positions of its texts; each text with at least one token is in exactly one.

    >>> [batch.tolist() for batch in plan_batches([2, 9, 3, 0, 2], batch_tokens=8)]
    [[1], [2, 0], [4]]
    >>> [batch.tolist() for batch in plan_batches([2, 9, 3, 0, 2], batch_tokens=8, equal_lengths=True)]
    [[1], [2], [0, 4]]
    """
    lengths = np.asarray(n_tokens)
    order = np.argsort(-lengths, kind="stable")
    batches: list[list[int]] = []
    for place in order:
        if lengths[place] == 0:
            continue
        longest = lengths[batches[-1][0]] if batches else 0
        fits = longest * (len(batches[-1]) + 1) <= batch_tokens if batches else False
        if fits and not (equal_lengths and lengths[place] != longest):
            batches[-1].append(int(place))
        else:
            batches.append([int(place)])
    return [np.asarray(batch, dtype=np.intp) for batch in batches]
