"""Which sites a model has, as rows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from llm_mri_store.api.table import Table
from llm_mri_store.errors import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from llm_mri_store.extraction.points import Site

SITES_SCHEMA = pa.schema(
    [
        ("site", pa.string()),
        ("layers", pa.string()),
        ("width", pa.int64()),
        ("read_at", pa.string()),
        ("what", pa.string()),
    ]
)


def model_sites(
    model: str | Path | PreTrainedModel,
    *,
    tokenizer: PreTrainedTokenizerBase | None = None,
    side: str | None = None,
    revision: str | None = None,
    trust_remote_code: bool = False,
) -> Table:
    """Where a model can be read by name: one row per site.

    A model that is not loaded is built with random weights, since its own are not needed; it must fit into
    memory nevertheless.

    Args:
        model: a Hub id, a folder written by ``save_pretrained``, or a loaded model.
        tokenizer: the tokenizer of a loaded model; by default that of its ``name_or_path``.
        side: of an encoder-decoder model the half that is read, ``encoder`` (the default) or ``decoder``.
        revision: branch, tag or commit of a Hub model.
        trust_remote_code: run Python code that comes with the model.

    Returns:
        Columns site; layers, such as ``0-6``; width of a vector; read_at, where ``{layer}`` is a block's
        0-based number; what, in words.

    Raises:
        ModelError: there is no such model, it is of a kind that cannot be read, or its blocks are not found.
        InvalidInput: the side is unknown, or the model has none.
    """
    from llm_mri_store.extraction.models import ModelRequest, find_model_sites

    name, found = find_model_sites(
        ModelRequest(
            model=model,
            tokenizer=tokenizer,
            side=side,
            revision=revision,
            trust_remote_code=trust_remote_code,
        )
    )
    if not found.sites:
        raise ModelError(
            f"model {name!r} has no named sites: {found.absent['residual']}; a module path pattern such as "
            "h.{layer}.mlp reads any module"
        )
    return Table(pa.Table.from_pylist([_row(site) for site in found.sites.values()], schema=SITES_SCHEMA))


def _row(site: Site) -> dict[str, str | int]:
    return {
        "site": site.name,
        "layers": layer_ranges(site.layers),
        "width": site.width,
        "read_at": site.read_at,
        "what": site.what,
    }


def layer_ranges(layers: tuple[int, ...]) -> str:
    """Layers as ``--layers`` takes them.

    >>> layer_ranges((0, 1, 2, 5, 7, 8))
    '0-2,5,7-8'
    """
    runs: list[list[int]] = []
    for layer in layers:
        if runs and runs[-1][-1] == layer - 1:
            runs[-1].append(layer)
        else:
            runs.append([layer])
    return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)
