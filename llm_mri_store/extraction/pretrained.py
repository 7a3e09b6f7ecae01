"""Reads configurations, tokenizers and weights; the border where transformers' errors become ours."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoConfig, AutoModel, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from llm_mri_store.errors import ModelError


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a model comes from.

    Attributes:
        address: a Hub id, or a folder written by ``save_pretrained``.
        revision: branch, tag or commit of a Hub model.
        trust_remote_code: run Python code that comes with the model.
    """

    address: str
    revision: str | None = None
    trust_remote_code: bool = False

    @property
    def name(self) -> str:
        """The Hub id, or the folder's name."""
        folder = Path(self.address)
        return folder.resolve().name if folder.is_dir() else self.address


@contextmanager
def as_model_error(name: str, *, why: str = "") -> Iterator[None]:
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


def load_config(origin: Origin) -> Any:
    """A model's configuration.

    Raises:
        ModelError: there is none.
    """
    folder, is_folder = Path(origin.address), os.path.isdir(origin.address)
    if is_folder and not (folder / "config.json").is_file():
        raise ModelError(f"{folder} holds no model: expected a config.json, as save_pretrained writes it")
    looks_like_folder = origin.address.startswith((".", "/", "~")) or origin.address.count("/") > 1
    if not is_folder and looks_like_folder:
        raise ModelError(f"no model at {origin.address}: there is no such folder")
    why = "" if is_folder else "it is no folder here, and of the Hugging Face Hub: "
    with as_model_error(origin.address, why=why):
        return AutoConfig.from_pretrained(
            origin.address, revision=origin.revision, trust_remote_code=origin.trust_remote_code
        )


def load_tokenizer(origin: Origin) -> PreTrainedTokenizerBase:
    """A model's tokenizer.

    Raises:
        ModelError: there is none.
    """
    with as_model_error(origin.address):
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            origin.address, revision=origin.revision, trust_remote_code=origin.trust_remote_code
        )
    return tokenizer


def draw_weights(origin: Origin, config: Any, *, dtype: torch.dtype, seed: int) -> PreTrainedModel:
    """A model with fresh random weights.

    Raises:
        ModelError: it cannot be built.
    """
    with as_model_error(origin.address), torch.random.fork_rng():
        torch.manual_seed(seed)
        module: PreTrainedModel = AutoModel.from_config(
            config, dtype=dtype, trust_remote_code=origin.trust_remote_code
        )
    return module


def load_weights(origin: Origin, *, dtype: torch.dtype, unread: tuple[str, ...]) -> PreTrainedModel:
    """A model with its trained weights.

    Args:
        origin: where it comes from.
        dtype: what its weights become.
        unread: how the names of parameters begin that may be missing, since nothing that is read
            depends on them.

    Raises:
        ModelError: there are no weights, or some are missing.
    """
    with as_model_error(origin.address):
        module, report = AutoModel.from_pretrained(
            origin.address,
            revision=origin.revision,
            dtype=dtype,
            trust_remote_code=origin.trust_remote_code,
            output_loading_info=True,
        )
    # Missing weights are drawn at random: what depends on them would silently mean nothing.
    missing = sorted(key for key in report["missing_keys"] if not key.startswith(unread))
    if missing:
        raise ModelError(
            f"the weights of model {origin.address!r} lack {len(missing)} parameters (such as {missing[0]}), "
            "which would be random; use complete weights, or ask for --random-weights"
        )
    loaded: PreTrainedModel = module
    return loaded
