"""Loads a transformer and its tokenizer, and says what must be known of it before it is read."""

from __future__ import annotations

import hashlib
import inspect
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
import transformers
from transformers import AutoConfig, AutoModel, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from llm_mri_store.errors import InvalidInput, ModelError
from llm_mri_store.records import DTYPES, POOLINGS, DType, Pooling

_LOGGER: Final = logging.getLogger("llm_mri_store")
_UNLIMITED: Final = 1_000_000
_FINGERPRINTED: Final = ("*.json", "*.safetensors", "*.bin", "*.txt", "*.model", "*.py", "*.jinja")
_TORCH_DTYPES: Final = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequest:
    """Which model to read and how to run it.

    Attributes:
        model: a Hub id, a folder written by ``save_pretrained``, or a loaded model.
        name: what to call it; by default the Hub id, the folder's name or the model's class.
        tokenizer: the tokenizer of a loaded model; by default that of its ``name_or_path``.
        revision: branch, tag or commit of a Hub model.
        device: ``auto``, or what torch calls a device.
        dtype: ``auto`` (float32; on CUDA the model's own), or one of ``DTYPES``.
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
        module: the transformer (of an encoder-decoder model its encoder), in evaluation mode.
        tokenizer: its tokenizer.
        n_layers: hidden states, the embedding output included.
        hidden_size: length of a hidden state.
        max_tokens: most tokens a text may have.
        is_causal: a token sees only those before it.
        device, dtype: where and how precisely it runs.
        inputs: arguments of its forward pass that a tokenizer may give.
    """

    name: str
    revision: str | None
    fingerprint: str
    module: torch.nn.Module
    tokenizer: PreTrainedTokenizerBase
    n_layers: int
    hidden_size: int
    max_tokens: int
    is_causal: bool
    device: str
    dtype: DType
    inputs: frozenset[str]


def load_model(request: ModelRequest) -> LoadedModel:
    """Loads a model and its tokenizer and measures what must be known of them.

    Raises:
        ModelError: there is no such model, its weights are incomplete, it is of a kind that cannot be
            read, or its device is not there.
        InvalidInput: dtype or device is unknown.
    """
    device = resolve_device(request.device)
    if isinstance(request.model, PreTrainedModel):
        module, name, revision = request.model, type(request.model).__name__, None
        tokenizer = request.tokenizer or _load_tokenizer(module.name_or_path, request)
        weights = _hash_tensors(module) + _hash_tokenizer(tokenizer)
        dtype = _dtype_name(module.dtype)
        device = str(module.device)
    else:
        name = str(request.model)
        config = _load_config(name, request)
        dtype = resolve_dtype(request.dtype, device, getattr(config, "dtype", None))
        tokenizer = request.tokenizer or _load_tokenizer(name, request)
        module = _load_module(name, config, dtype, request)
        revision = getattr(config, "_commit_hash", None)
        weights = _hash_folder(Path(name)) if Path(name).is_dir() else f"{name}@{revision}"
        module = _moved(module, device)
        name = Path(name).resolve().name if Path(name).is_dir() else name
    module.eval()
    reader = _encoder_of(module)
    if tokenizer.pad_token is None:
        # The mask hides padding, so which token pads does not matter.
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token or tokenizer.bos_token
    seed = request.random_weights
    fingerprint = hashlib.sha256(f"{weights} random={seed}".encode()).hexdigest()
    return _measured(
        reader,
        tokenizer,
        name=request.name or name,
        revision=revision,
        fingerprint=fingerprint,
        device=device,
        dtype=dtype,
    )


def resolve_device(device: str) -> str:
    """The device itself; for ``auto`` the first CUDA device, else Apple's, else the CPU.

    Raises:
        ModelError: the device is not there, or torch does not know it.
    """
    if device == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ModelError(
            f"device {device!r} is not there ({str(error).splitlines()[0]}); use --device cpu or auto"
        ) from error
    return device


def resolve_dtype(dtype: str, device: str, of_model: object) -> DType:
    """The dtype itself; for ``auto`` float32, on CUDA the model's own 16-bit one.

    Raises:
        InvalidInput: it is none of ``DTYPES``.
    """
    for known in DTYPES:
        if dtype == known:
            return known
    if dtype != "auto":
        raise InvalidInput(f"dtype {dtype!r} is not one of auto, {', '.join(DTYPES)}")
    if device.startswith("cuda") and of_model in {torch.bfloat16, torch.float16}:
        return _dtype_name(of_model)
    return "float32"


def resolve_pooling(pooling: str, *, is_causal: bool, force: bool) -> Pooling:
    """The pooling itself; for ``auto`` ``last`` of a causal model, else ``first``.

    Raises:
        InvalidInput: it is unknown, or ``first`` for a causal model and not forced.
    """
    if pooling == "auto":
        return "last" if is_causal else "first"
    if pooling == "first" and is_causal and not force:
        raise InvalidInput(
            "the first token of a causal model sees only itself, so pooling 'first' says nothing of the text; "
            "use last, mean or max (or --force)"
        )
    for known in POOLINGS:
        if pooling == known:
            return known
    raise InvalidInput(f"pooling {pooling!r} is not one of auto, {', '.join(POOLINGS)}")


def _dtype_name(dtype: object) -> DType:
    for name in DTYPES:
        if _TORCH_DTYPES[name] == dtype:
            return name
    raise ModelError(f"the model's dtype {dtype} is not one of {', '.join(DTYPES)}")


@contextmanager
def _as_model_error(name: str) -> Iterator[None]:
    """Turns whatever a model library raises into one sentence; its chatter stays off the terminal."""
    level = transformers.logging.get_verbosity()
    had_bars = transformers.logging.is_progress_bar_enabled()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    try:
        yield
    except ModelError:
        raise
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        if "trust_remote_code" in str(error):
            reason = "it needs code of its own to be run, which --trust-remote-code allows"
        raise ModelError(f"model {name!r} cannot be loaded: {reason}") from error
    finally:
        transformers.logging.set_verbosity(level)
        if had_bars:
            transformers.logging.enable_progress_bar()


def _load_config(name: str, request: ModelRequest) -> Any:
    if not Path(name).is_dir() and (name.startswith((".", "/", "~")) or name.count("/") > 1):
        raise ModelError(f"no model at {name}: there is no such folder")
    if Path(name).is_dir() and not (Path(name) / "config.json").is_file():
        raise ModelError(f"{name} holds no model: expected a config.json, as save_pretrained writes it")
    with _as_model_error(name):
        return AutoConfig.from_pretrained(
            name, revision=request.revision, trust_remote_code=request.trust_remote_code
        )


def _load_tokenizer(name: str, request: ModelRequest) -> PreTrainedTokenizerBase:
    with _as_model_error(name):
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            name, revision=request.revision, trust_remote_code=request.trust_remote_code
        )
    return tokenizer


def _load_module(name: str, config: Any, dtype: DType, request: ModelRequest) -> torch.nn.Module:
    with _as_model_error(name):
        if request.random_weights is not None:
            with torch.random.fork_rng():
                torch.manual_seed(request.random_weights)
                return AutoModel.from_config(
                    config, dtype=_TORCH_DTYPES[dtype], trust_remote_code=request.trust_remote_code
                )
        module, report = AutoModel.from_pretrained(
            name,
            revision=request.revision,
            dtype=_TORCH_DTYPES[dtype],
            trust_remote_code=request.trust_remote_code,
            output_loading_info=True,
        )
    # A head that is not read may be missing; anything else would silently run on random numbers.
    missing = sorted(key for key in report["missing_keys"] if not key.startswith("pooler."))
    if missing:
        raise ModelError(
            f"the weights of model {name!r} lack {len(missing)} parameters (such as {missing[0]}), which would "
            "be random; use complete weights, or ask for --random-weights"
        )
    return module


def _moved(module: torch.nn.Module, device: str) -> torch.nn.Module:
    try:
        return module.to(device)
    except (RuntimeError, torch.OutOfMemoryError) as error:
        raise ModelError(
            f"the model does not fit on {device} ({str(error).splitlines()[0]}); use --device cpu or a smaller dtype"
        ) from error


def _encoder_of(module: torch.nn.Module) -> torch.nn.Module:
    """The part that is read: the encoder of an encoder-decoder model, else the model itself."""
    config = getattr(module, "config", None)
    if getattr(config, "is_encoder_decoder", False):
        encoder: torch.nn.Module = module.get_encoder()
        return encoder
    return module


def _measured(
    reader: torch.nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    *,
    name: str,
    revision: str | None,
    fingerprint: str,
    device: str,
    dtype: DType,
) -> LoadedModel:
    """Runs the model twice on a handful of tokens: how many layers, how wide, causal or not."""
    accepted = frozenset(inspect.signature(reader.forward).parameters)
    ids = tokenizer("one two three four five six", add_special_tokens=False)["input_ids"]
    if len(ids) < 2 or ids[0] == ids[-1]:
        vocabulary = len(tokenizer)
        ids = [vocabulary // 2, vocabulary // 3, vocabulary // 4]
    with _as_model_error(name), torch.inference_mode():
        states = [
            _all_states(reader, torch.tensor([variant], device=device), accepted)
            for variant in (ids, [*ids[:-1], ids[0]])
        ]
    first, changed = (one[-1][0, 0].float() for one in states)
    tolerance = 32 * torch.finfo(_TORCH_DTYPES[dtype]).eps * float(first.abs().max())
    return LoadedModel(
        name=name,
        revision=revision,
        fingerprint=fingerprint,
        module=reader,
        tokenizer=tokenizer,
        n_layers=len(states[0]),
        hidden_size=states[0][0].shape[-1],
        max_tokens=_most_tokens(reader, tokenizer),
        is_causal=bool((first - changed).abs().max() <= tolerance),
        device=device,
        dtype=dtype,
        inputs=accepted & {"input_ids", "attention_mask", "token_type_ids"},
    )


def _all_states(
    reader: torch.nn.Module, ids: torch.Tensor, accepted: frozenset[str]
) -> tuple[torch.Tensor, ...]:
    mask = {"attention_mask": torch.ones_like(ids)} if "attention_mask" in accepted else {}
    states = reader(input_ids=ids, **mask, output_hidden_states=True).hidden_states
    if not states:
        raise ModelError("the model gives no hidden states, so it cannot be scanned")
    if len({state.shape[-1] for state in states}) > 1:
        raise ModelError("the model's layers have different widths, which a scan cannot hold")
    return tuple(states)


def _most_tokens(reader: torch.nn.Module, tokenizer: PreTrainedTokenizerBase) -> int:
    """Most tokens the tokenizer and the position embeddings allow."""
    config = getattr(reader, "config", None)
    limits = [tokenizer.model_max_length]
    for name in ("max_position_embeddings", "n_positions", "max_sequence_length", "seq_length"):
        positions = getattr(config, name, None)
        if isinstance(positions, int) and positions > 0:
            limits.append(positions - _reserved_positions(reader))
    return int(min(*limits, _UNLIMITED))


def _reserved_positions(reader: torch.nn.Module) -> int:
    """Positions before the first token's: RoBERTa and its kin count from padding_idx + 1."""
    embeddings = getattr(reader, "embeddings", None)
    table = getattr(embeddings, "position_embeddings", None)
    padding = getattr(table, "padding_idx", None)
    return padding + 1 if isinstance(padding, int) and hasattr(embeddings, "padding_idx") else 0


def _hash_folder(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted({path for pattern in _FINGERPRINTED for path in folder.glob(pattern)}):
        with path.open("rb") as file:
            digest.update(f"{path.name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()


def _hash_tensors(module: torch.nn.Module) -> str:
    digest = hashlib.sha256(str(getattr(module, "config", "")).encode())
    for name, tensor in sorted(module.state_dict().items()):
        raw = tensor.detach().contiguous().cpu().flatten().view(torch.uint8).numpy()
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        digest.update(raw)
    return digest.hexdigest()


def _hash_tokenizer(tokenizer: PreTrainedTokenizerBase) -> str:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    words = backend.to_str() if backend is not None else repr(sorted(tokenizer.get_vocab().items()))
    return hashlib.sha256(words.encode()).hexdigest()
