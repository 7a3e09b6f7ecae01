"""Reducers from arrays."""

import numpy as np
import pytest

from llm_mri_store.errors import ReductionError, StoreCorrupt
from llm_mri_store.reduction.reducers import LinearReducer, UmapReducer, reducer_from_arrays


def test_a_reducer_is_made_again_of_its_arrays():
    reducer = LinearReducer(mean=np.ones(3), weight=np.array([1.0, 0, 2]), components=np.eye(3)[:2])
    again = reducer_from_arrays(reducer.arrays(), where="here")
    activations = np.array([[2, 5, 3]], np.float32)
    assert again.transform(activations).tolist() == [[1, 0]]
    assert reducer.transform(activations).tolist() == [[1, 0]]


@pytest.mark.parametrize(
    "arrays",
    [
        {},
        {"mean": np.ones(3)},
        {"mean": np.ones(3), "weight": np.ones(3), "components": np.ones((2, 4))},
        {"mean": np.ones(3), "weight": np.ones(2), "components": np.ones((2, 3))},
        {"mean": np.ones((1, 3)), "weight": np.ones((1, 3)), "components": np.ones((2, 1, 3))},
        {"mean": np.ones(3), "weight": np.ones(3), "components": np.full((2, 3), np.nan)},
        {"mean": np.ones(3, np.int64), "weight": np.ones(3), "components": np.ones((2, 3))},
        {"minimum": np.ones(3), "weight": np.ones(4)},
        {"minimum": np.ones(3), "weight": np.ones(3), "more": np.ones(3)},
    ],
)
def test_arrays_that_are_no_reducer_are_refused(arrays):
    with pytest.raises(StoreCorrupt, match="here does not hold a fitted reducer"):
        reducer_from_arrays(arrays, where="here")


def test_a_umap_reducer_places_nothing():
    reducer = reducer_from_arrays(UmapReducer(minimum=np.zeros(2), weight=np.ones(2)).arrays(), where="here")
    with pytest.raises(ReductionError, match="cannot place new samples"):
        reducer.transform(np.zeros((1, 2), np.float32))
