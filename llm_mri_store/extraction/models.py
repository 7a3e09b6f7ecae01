"""Loads a transformer and its tokenizer."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from llm_mri_store.errors import InvalidInput, ModelError, UnknownName
from llm_mri_store.extraction.choices import TORCH_DTYPES, dtype_name, resolve_device, resolve_dtype
from llm_mri_store.extraction.fingerprints import fingerprint_model
from llm_mri_store.extraction.patterns import PLACEHOLDER, is_pattern, pattern_site
from llm_mri_store.extraction.points import Site
from llm_mri_store.extraction.pretrained import (
    Origin,
    as_model_error,
    draw_weights,
    load_config,
    load_tokenizer,
    load_weights,
)
from llm_mri_store.extraction.sites import FoundSites
from llm_mri_store.extraction.traits import ModelTraits, forward_inputs, measure_traits, padded_probe
from llm_mri_store.records.choices import SIDES, DType, Side


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequest:
    """Which model to read and how to run it.

    Attributes:
        model: a Hub id, a folder written by ``save_pretrained``, or a loaded model.
        name: what to call it; by default the Hub id, the folder's name or the model's class.
        tokenizer: the tokenizer of a loaded model; by default that of its ``name_or_path``.
        revision: branch, tag or commit of a Hub model.
        device: ``auto``, or what torch calls a device; a loaded model stays where it is.
        dtype: ``auto`` (float32; on CUDA the model's own), or one of ``DTYPES``; a loaded model
            keeps its own.
        random_weights: seed of freshly drawn weights instead of the trained ones.
        trust_remote_code: run Python code that comes with the model.
        side: of an encoder-decoder model the half that is read, one of ``SIDES``; by default the encoder.
    """

    model: str | Path | PreTrainedModel
    name: str | None = None
    tokenizer: PreTrainedTokenizerBase | None = None
    revision: str | None = None
    device: str = "auto"
    dtype: DType | str = "auto"
    random_weights: int | None = None
    trust_remote_code: bool = False
    side: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModel:
    """A model ready to be read.

    Attributes:
        name: Hub id, folder name or class.
        revision: commit hash of a Hub model.
        fingerprint: sha256 that stands for weights, configuration and tokenizer.
        module: what is run, in evaluation mode: the transformer without a head; of an encoder-decoder its
            encoder, or all of it where its decoder is read.
        tokenizer: its tokenizer.
        traits: its layers, width and limits.
        device: where it runs.
        dtype: how precisely it runs.
        side: which half of an encoder-decoder is read; None for any other model.
        sites: name -> where it can be read by that name, ``residual`` first; empty where its blocks were not
            found.
        absent: name of each site that it has not -> why.
    """

    name: str
    revision: str | None
    fingerprint: str
    module: torch.nn.Module
    tokenizer: PreTrainedTokenizerBase
    traits: ModelTraits
    device: str
    dtype: DType
    side: Side | None = None
    sites: Mapping[str, Site] = field(default_factory=dict)
    absent: Mapping[str, str] = field(default_factory=dict)

    def site(self, name: str) -> Site:
        """A named site, or the one that a module path pattern describes.

        Args:
            name: one of ``sites``, or a path such as ``h.{layer}.mlp``, where ``{layer}`` is the block's
                0-based number (block k is layer k + 1); ``input of h.{layer}.mlp`` reads what goes in.

        Raises:
            UnknownName: there is no such site, or no such module.
            InvalidInput: the pattern has no ``{layer}``, or more than one.
            ModelError: the model has no such site, or the modules do not give one vector per token, of one
                width in every layer.
        """
        if name in self.sites:
            return self.sites[name]
        hint = f"a module path pattern such as h.{PLACEHOLDER}.mlp reads any module"
        there = f"it has {', '.join(self.sites)}; {hint}" if self.sites else hint
        if name in self.absent:
            raise ModelError(f"model {self.name!r} has no site {name!r}: {self.absent[name]}; {there}")
        if not is_pattern(name, self.module):
            raise UnknownName("site", name, known=self.sites, where=f"model {self.name!r}")
        probe = padded_probe(self.module, self.tokenizer, self.traits.inputs, self.traits.decoder_start_id)
        try:
            return pattern_site(name, self.module, probe, known=self.sites)
        except ModelError as error:
            raise ModelError(f"site {name!r} of model {self.name!r} cannot be read: {error}") from error

    def forward_inputs(
        self, ids: torch.Tensor, mask: torch.Tensor, token_types: torch.Tensor | None
    ) -> dict[str, Any]:
        """Arguments of ``module`` for a batch padded on the right.

        A decoder reads the text that its encoder reads, one position later, from its start token on.

        Args:
            ids: int64 (texts, tokens).
            mask: int64 (texts, tokens), 1 on real tokens.
            token_types: int64 (texts, tokens), where the tokenizer gives them.

        Returns:
            Those of input_ids, attention_mask, token_type_ids, use_cache, decoder_input_ids and
            decoder_attention_mask that the model takes.
        """
        return forward_inputs(
            self.traits.inputs, self.traits.decoder_start_id, ids=ids, mask=mask, token_types=token_types
        )


def load_model(request: ModelRequest) -> LoadedModel:
    """Loads a model and its tokenizer and measures what must be known of them.

    A model that is loaded already is put in evaluation mode and otherwise left as it is. One whose blocks
    are not found is loaded as well: module path patterns still read it.

    Raises:
        ModelError: there is no such model, its weights are incomplete, it is of a kind that cannot be
            read, or its device is not there.
        InvalidInput: dtype, device or side is unknown, or cannot be had of this model.
    """
    if isinstance(request.model, PreTrainedModel):
        return _take_model(request.model, request)
    origin, config = _look_up(request)
    device = resolve_device(request.device)
    dtype = resolve_dtype(request.dtype, device, getattr(config, "dtype", None))
    tokenizer = request.tokenizer or load_tokenizer(origin)
    if request.random_weights is None:
        # What stands behind the last hidden state is not read, nor is a decoder where its encoder is.
        is_encoder = getattr(config, "is_encoder_decoder", False) and request.side != "decoder"
        unread = ("pooler.", "decoder.") if is_encoder else ("pooler.",)
        module = load_weights(origin, dtype=TORCH_DTYPES[dtype], unread=unread)
    else:
        module = draw_weights(origin, config, dtype=TORCH_DTYPES[dtype], seed=request.random_weights)
    revision = getattr(config, "_commit_hash", None)
    return _ready(module, tokenizer, request, name=origin.name, revision=revision, device=device, dtype=dtype)


def find_model_sites(request: ModelRequest) -> tuple[str, FoundSites]:
    """A model's name, and the sites it has; the weights of a model that is not loaded are not needed.

    They are drawn at random, in the precision of the trained ones, which says as well where blocks begin
    and end; the model must fit into memory nevertheless.

    Raises:
        ModelError, InvalidInput: as ``load_model``.
    """
    if isinstance(request.model, PreTrainedModel):
        loaded = load_model(request)
        return loaded.name, FoundSites(sites=loaded.sites, absent=loaded.absent)
    origin, config = _look_up(request)
    tokenizer = request.tokenizer or load_tokenizer(origin)
    dtype = TORCH_DTYPES[resolve_dtype("auto", "cuda", getattr(config, "dtype", None))]
    reader, _ = _reader_of(draw_weights(origin, config, dtype=dtype, seed=0).eval(), request.side)
    with as_model_error(origin.name):
        _, found = measure_traits(reader, tokenizer)
    return origin.name, found


def _look_up(request: ModelRequest) -> tuple[Origin, Any]:
    """Where a model that is not loaded comes from, and its configuration; the side asked must be there."""
    if not isinstance(request.model, str | Path):
        raise ModelError(
            "a model is a Hub id, a folder or a loaded transformers model, not "
            f"{type(request.model).__name__}"
        )
    # Of os.path, which finds no folder where Path refuses the name with an error of its own.
    folder = os.path.expanduser(request.model)
    origin = Origin(
        address=folder if os.path.isdir(folder) else str(request.model),
        revision=request.revision,
        trust_remote_code=request.trust_remote_code,
    )
    config = load_config(origin)
    if not getattr(config, "is_encoder_decoder", False):
        _refuse_side(request.side, origin.name)
    return origin, config


def _take_model(module: PreTrainedModel, request: ModelRequest) -> LoadedModel:
    """A model that is loaded already."""
    device, dtype = module.device, dtype_name(module.dtype)
    if request.random_weights is not None or request.revision is not None:
        raise InvalidInput(
            "random weights and revisions are for a model named by Hub id or folder; this one is loaded "
            "already"
        )
    if request.device != "auto" and torch.device(resolve_device(request.device)).type != device.type:
        raise InvalidInput(
            f"the loaded model is on {device}, not {request.device!r}; move it, or leave device out"
        )
    if request.dtype != "auto":
        wanted = resolve_dtype(request.dtype, device.type, None)
        if TORCH_DTYPES[wanted] != module.dtype:
            raise InvalidInput(
                f"the loaded model is in {dtype}, not {wanted}; convert it, or leave dtype out"
            )
        dtype = wanted
    if request.tokenizer is None and not module.name_or_path:
        raise ModelError("the loaded model does not say where its tokenizer is; give tokenizer=")
    name = type(module).__name__
    tokenizer = request.tokenizer or load_tokenizer(
        Origin(address=module.name_or_path, trust_remote_code=request.trust_remote_code)
    )
    return _ready(module, tokenizer, request, name=name, revision=None, device=str(device), dtype=dtype)


def _ready(
    module: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    request: ModelRequest,
    *,
    name: str,
    revision: str | None,
    device: str,
    dtype: DType,
) -> LoadedModel:
    reader, side = _reader_of(module.eval(), request.side)
    fingerprint = fingerprint_model(reader, tokenizer)
    _move(reader, device)
    with as_model_error(name):
        traits, found = measure_traits(reader, tokenizer)
    return LoadedModel(
        name=request.name or name,
        revision=revision,
        fingerprint=fingerprint,
        module=reader,
        tokenizer=tokenizer,
        traits=traits,
        device=device,
        dtype=dtype,
        side=side,
        sites=found.sites,
        absent=found.absent,
    )


def _reader_of(module: PreTrainedModel, side: str | None) -> tuple[torch.nn.Module, Side | None]:
    """What gives the activations: the model without its head, and of two halves the one that is asked."""
    base = module.base_model
    if "decoder_input_ids" not in inspect.signature(base.forward).parameters:
        _refuse_side(side, type(base).__name__)
        return base, None
    if side not in {None, *SIDES}:
        raise InvalidInput(f"side {side!r} is not one of {', '.join(SIDES)}")
    return (base, "decoder") if side == "decoder" else (base.get_encoder(), "encoder")


def _refuse_side(side: str | None, name: str) -> None:
    if side is not None:
        raise InvalidInput(f"model {name!r} is no encoder-decoder, so it has no sides; leave side out")


def _move(reader: torch.nn.Module, device: str) -> None:
    try:
        reader.to(device)
    except (RuntimeError, torch.OutOfMemoryError) as error:
        raise ModelError(
            f"the model does not fit on {device} ({str(error).splitlines()[0]}); use --device cpu or a "
            "smaller dtype"
        ) from error
