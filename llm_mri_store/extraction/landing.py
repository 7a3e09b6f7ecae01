"""Brings a batch's vectors from the device into a chunk's arrays, on CUDA while the next batch runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

Float32 = npt.NDArray[np.float32]
Rows = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class _InFlight:
    """A batch on its way: pinned host copies, where their rows go, and when they are complete."""

    copies: list[torch.Tensor]
    rows: Sequence[Rows]
    arrived: torch.cuda.Event


class Landing:
    """Collects the vectors of batches.

    Args:
        chunks: per reading the array that is filled, float32 (rows, layers, width).
    """

    def __init__(self, chunks: list[Float32]) -> None:
        self._chunks = chunks
        self._in_flight: _InFlight | None = None

    def take(self, buffers: Sequence[torch.Tensor], rows: Sequence[Rows]) -> None:
        """Takes a batch.

        Args:
            buffers: per reading its vectors on the device.
            rows: per reading the rows of its array that they are.
        """
        if all(buffer.device.type == "cuda" for buffer in buffers):
            sent = _send(buffers, rows)
            # The batch before arrived while this one was computed.
            self._settle()
            self._in_flight = sent
        else:
            self._store([buffer.cpu() for buffer in buffers], rows)

    def finish(self) -> list[Float32]:
        """The arrays, when everything has arrived."""
        self._settle()
        return self._chunks

    def _settle(self) -> None:
        if self._in_flight is not None:
            self._in_flight.arrived.synchronize()
            self._store(self._in_flight.copies, self._in_flight.rows)
            self._in_flight = None

    def _store(self, copies: Sequence[torch.Tensor], rows: Sequence[Rows]) -> None:
        for chunk, copy, place in zip(self._chunks, copies, rows, strict=True):
            chunk[place] = copy.numpy()


def _send(buffers: Sequence[torch.Tensor], rows: Sequence[Rows]) -> _InFlight:
    copies = [torch.empty(buffer.shape, dtype=buffer.dtype, pin_memory=True) for buffer in buffers]
    for copy, buffer in zip(copies, buffers, strict=True):
        copy.copy_(buffer, non_blocking=True)
    arrived = torch.cuda.Event()
    arrived.record()
    return _InFlight(copies, rows, arrived)
