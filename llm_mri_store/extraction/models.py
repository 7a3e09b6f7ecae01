"""Loads a transformer and its tokenizer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoConfig, AutoModel, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from llm_mri_store.errors import InvalidInput, ModelError
from llm_mri_store.extraction.choices import TORCH_DTYPES, dtype_name, resolve_device, resolve_dtype
from llm_mri_store.extraction.fingerprints import fingerprint_model
from llm_mri_store.extraction.traits import ModelTraits, measure_traits
from llm_mri_store.records import DType


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
    """

    model: str | Path | PreTrainedModel
    name: str | None = None
    tokenizer: PreTrainedTokenizerBase | None = None
    revision: str | None = None
    device: str = "auto"
    dtype: DType | str = "auto"
    random_weights: int | None = None
    trust_remote_code: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModel:
    """A model ready to be read.

    Attributes:
        name: Hub id, folder name or class.
        revision: commit hash of a Hub model.
        fingerprint: sha256 that stands for weights, configuration and tokenizer.
        module: the transformer without a head (of an encoder-decoder model its encoder), in evaluation mode.
        tokenizer: its tokenizer.
        traits: its layers, width and limits.
        device: where it runs.
        dtype: how precisely it runs.
    """

    name: str
    revision: str | None
    fingerprint: str
    module: torch.nn.Module
    tokenizer: PreTrainedTokenizerBase
    traits: ModelTraits
    device: str
    dtype: DType


def load_model(request: ModelRequest) -> LoadedModel:
    """Loads a model and its tokenizer and measures what must be known of them.

    A model that is loaded already is put in evaluation mode and otherwise left as it is.

    Raises:
        ModelError: there is no such model, its weights are incomplete, it is of a kind that cannot be
            read, or its device is not there.
        InvalidInput: dtype or device is unknown, or cannot be had of a loaded model.
    """
    if isinstance(request.model, PreTrainedModel):
        return _take_model(request.model, request)
    if not isinstance(request.model, str | Path):
        raise ModelError(
            "a model is a Hub id, a folder or a loaded transformers model, not "
            f"{type(request.model).__name__}"
        )
    return _read_model(str(request.model), request)


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
    if request.dtype != "auto" and resolve_dtype(request.dtype, device.type, None) != dtype:
        raise InvalidInput(
            f"the loaded model is in {dtype}, not {request.dtype}; convert it, or leave dtype out"
        )
    if request.tokenizer is None and not module.name_or_path:
        raise ModelError("the loaded model does not say where its tokenizer is; give tokenizer=")
    name = type(module).__name__
    tokenizer = request.tokenizer or _load_tokenizer(module.name_or_path, request)
    return _ready(module, tokenizer, request, name=name, revision=None, device=str(device), dtype=dtype)


def _read_model(name: str, request: ModelRequest) -> LoadedModel:
    """A model of a folder or of the Hub."""
    device = resolve_device(request.device)
    folder = Path(name).expanduser()
    address = str(folder) if folder.is_dir() else name
    config = _load_config(address, request)
    dtype = resolve_dtype(request.dtype, device, getattr(config, "dtype", None))
    tokenizer = request.tokenizer or _load_tokenizer(address, request)
    module = _load_weights(address, config, dtype, request)
    name = folder.resolve().name if folder.is_dir() else name
    revision = getattr(config, "_commit_hash", None)
    return _ready(module, tokenizer, request, name=name, revision=revision, device=device, dtype=dtype)


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
    reader = _reader_of(module.eval())
    fingerprint = fingerprint_model(reader, tokenizer)
    _move(reader, device)
    with _as_model_error(name):
        traits = measure_traits(reader, tokenizer)
    return LoadedModel(
        name=request.name or name,
        revision=revision,
        fingerprint=fingerprint,
        module=reader,
        tokenizer=tokenizer,
        traits=traits,
        device=device,
        dtype=dtype,
    )


def _reader_of(module: PreTrainedModel) -> torch.nn.Module:
    """What gives the hidden states: no head, whose work would be thrown away, and no decoder."""
    base = module.base_model
    if getattr(base.config, "is_encoder_decoder", False):
        base = base.get_encoder()
    reader: torch.nn.Module = base
    return reader


def _move(reader: torch.nn.Module, device: str) -> None:
    try:
        reader.to(device)
    except (RuntimeError, torch.OutOfMemoryError) as error:
        raise ModelError(
            f"the model does not fit on {device} ({str(error).splitlines()[0]}); use --device cpu or a "
            "smaller dtype"
        ) from error


@contextmanager
def _as_model_error(name: str, *, why: str = "") -> Iterator[None]:
    """Turns whatever a model library raises into one sentence; its chatter stays off the terminal.

    Args:
        name: the model.
        why: what to say before the library's own words.
    """
    level = transformers.logging.get_verbosity()
    had_bars = transformers.logging.is_progress_bar_enabled()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    try:
        yield
    except ModelError as error:
        raise ModelError(f"model {name!r} cannot be read: {error}") from error
    except Exception as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        if "trust_remote_code" in str(error):
            reason = "it needs code of its own to be run, which --trust-remote-code allows"
        raise ModelError(f"model {name!r} cannot be loaded: {why}{reason}") from error
    finally:
        transformers.logging.set_verbosity(level)
        if had_bars:
            transformers.logging.enable_progress_bar()


def _load_config(name: str, request: ModelRequest) -> Any:
    folder = Path(name)
    if folder.is_dir() and not (folder / "config.json").is_file():
        raise ModelError(f"{name} holds no model: expected a config.json, as save_pretrained writes it")
    if not folder.is_dir() and (name.startswith((".", "/", "~")) or name.count("/") > 1):
        raise ModelError(f"no model at {name}: there is no such folder")
    why = "" if folder.is_dir() else "it is no folder here, and of the Hugging Face Hub: "
    with _as_model_error(name, why=why):
        return AutoConfig.from_pretrained(
            name, revision=request.revision, trust_remote_code=request.trust_remote_code
        )


def _load_tokenizer(name: str, request: ModelRequest) -> PreTrainedTokenizerBase:
    with _as_model_error(name):
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            name, revision=request.revision, trust_remote_code=request.trust_remote_code
        )
    return tokenizer


def _load_weights(name: str, config: Any, dtype: DType, request: ModelRequest) -> PreTrainedModel:
    module: PreTrainedModel
    with _as_model_error(name):
        if request.random_weights is not None:
            with torch.random.fork_rng():
                torch.manual_seed(request.random_weights)
                module = AutoModel.from_config(
                    config, dtype=TORCH_DTYPES[dtype], trust_remote_code=request.trust_remote_code
                )
            return module
        module, report = AutoModel.from_pretrained(
            name,
            revision=request.revision,
            dtype=TORCH_DTYPES[dtype],
            trust_remote_code=request.trust_remote_code,
            output_loading_info=True,
        )
    # A head that is not read may be missing; anything else would silently run on random numbers.
    missing = sorted(key for key in report["missing_keys"] if not key.startswith("pooler."))
    if missing:
        raise ModelError(
            f"the weights of model {name!r} lack {len(missing)} parameters (such as {missing[0]}), which "
            "would be random; use complete weights, or ask for --random-weights"
        )
    return module
