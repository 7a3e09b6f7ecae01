"""Pooling against sums by hand, with padding on either side."""

import numpy as np
import pytest
import torch

from llm_mri_store.errors import InvalidInput
from llm_mri_store.extraction.pooling import pool

NAN = float("nan")
# Two texts of two and three tokens, two features; what lies under padding must never matter.
RIGHT = torch.tensor([[[1.0, 8], [3, 2], [NAN, NAN]], [[0, 1], [6, 1], [3, -5]]])
RIGHT_MASK = torch.tensor([[1, 1, 0], [1, 1, 1]])
LEFT = torch.stack([RIGHT[0][[2, 0, 1]], RIGHT[1]])
LEFT_MASK = torch.tensor([[0, 1, 1], [1, 1, 1]])


@pytest.mark.parametrize(("states", "mask"), [(RIGHT, RIGHT_MASK), (LEFT, LEFT_MASK)])
@pytest.mark.parametrize(
    ("pooling", "vectors"),
    [
        ("first", [[1, 8], [0, 1]]),
        ("last", [[3, 2], [3, -5]]),
        ("mean", [[2, 5], [3, -1]]),
        ("max", [[3, 8], [6, 1]]),
    ],
)
def test_only_real_tokens_count_whatever_side_the_padding_is_on(states, mask, pooling, vectors):
    assert pool(states, mask, pooling).tolist() == vectors


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_sums_are_float32_whatever_the_model_runs_in(dtype):
    states = torch.full((1, 3000, 1), 1.0, dtype=dtype)
    mask = torch.ones(1, 3000, dtype=torch.long)
    pooled = pool(states, mask, "mean")
    assert pooled.dtype == torch.float32
    assert pooled.item() == 1.0


def test_poolings_agree_on_a_text_of_one_token():
    states = torch.from_numpy(np.random.default_rng(0).normal(size=(4, 3, 5)).astype(np.float32))
    mask = torch.tensor([[0, 1, 0]] * 4)
    vectors = [pool(states, mask, pooling) for pooling in ("first", "last", "mean", "max")]
    assert all(torch.equal(one, states[:, 1]) for one in vectors)


def test_a_pooling_that_there_is_not():
    with pytest.raises(InvalidInput, match="pooling 'median' is not one of first, last, mean, max"):
        pool(RIGHT, RIGHT_MASK, "median")
