"""The named sites of a model: which module gives each block's attention, feed-forward output and neurons."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import torch

from llm_mri_store.errors import ModelError
from llm_mri_store.extraction.anatomy import Anatomy, Probe, Trace
from llm_mri_store.extraction.points import CapturePoint, Site, captured_tensor, reading

Points = dict[int, CapturePoint]
"""Layer -> where it is read."""

_WHAT: Final = {
    "residual": "the residual stream: what enters the first block, and what leaves each",
    "final_norm": "what the final norm makes of what leaves the last block",
    "mlp": "what the feed-forward sublayer computes, before any norm, scaling or addition",
    "neurons": "feed-forward activations behind the non-linearity: what enters the last projection",
    "attention": "what self-attention computes, before any norm, scaling or addition",
    "cross_attention": "what attention to the encoder computes, before any norm, scaling or addition",
    "mixer": "what the state-space mixer computes, before it is added",
}

# Modules below a block, by how families name them; the first that is there is taken. Each is a sublayer's
# last projection: the sublayer as a whole may go on to add the residual stream (BERT, BLOOM).
_DOWN_PROJECTIONS: Final = (
    "mlp.down_proj",  # Llama, Mistral, Qwen, Gemma, Phi-3, OLMo and most since
    "mlp.c_proj",  # GPT-2, GPT-Neo, StarCoder
    "mlp.dense_4h_to_h",  # GPT-NeoX, Falcon, BLOOM
    "mlp.fc2",  # Phi
    "mlp.fc_out",  # GPT-J, CodeGen
    "mlp.Wo",  # ModernBERT
    "fc2",  # OPT, BART, Pegasus, XGLM
    "output.dense",  # BERT, RoBERTa, ELECTRA, DeBERTa, MPNet, ESM
    "ffn_output",  # ALBERT
    "ffn.lin2",  # DistilBERT
    "ffn.down_proj",  # MPT
    "feed_forward.down_proj",  # Jamba
    "layer.1.DenseReluDense.wo",  # T5's encoder
    "layer.2.DenseReluDense.wo",  # T5's decoder
)
_OUTPUT_PROJECTIONS: Final = (
    "self_attn.o_proj",  # Llama, Mistral, Qwen, Gemma and most since
    "self_attn.out_proj",  # OPT, BART, Pegasus, XGLM
    "self_attn.dense",  # Phi
    "attn.c_proj",  # GPT-2, StarCoder
    "attn.out_proj",  # GPT-J, CodeGen, MPT
    "attn.attention.out_proj",  # GPT-Neo
    "attn.Wo",  # ModernBERT
    "attention.output.dense",  # BERT, RoBERTa, ELECTRA, DeBERTa, ESM
    "attention.dense",  # ALBERT, GPT-NeoX
    "attention.out_lin",  # DistilBERT
    "attention.attn.o",  # MPNet
    "self_attention.dense",  # Falcon, BLOOM
    "layer.0.SelfAttention.o",  # T5
)
_CROSS_PROJECTIONS: Final = (
    "encoder_attn.out_proj",  # BART, Pegasus
    "layer.1.EncDecAttention.o",  # T5
    "crossattention.output.dense",  # BERT with cross-attention
)
_MIXERS: Final = ("mixer", "mamba")
_MIXTURES: Final = ("mlp", "block_sparse_moe", "feed_forward", "ffn", "moe")

_LINEAR: Final = re.compile(r"Linear$|^Conv1D$")
_ATTENTION: Final = re.compile(r"attn|attention", re.IGNORECASE)
_OTHER: Final = re.compile(r"cross|encdec|encoder_|expert|router|gate$|mixer|mamba|ssm", re.IGNORECASE)

_NOT_FOUND: Final = "no module of its blocks is known to give it"


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundSites:
    """What can be read by name.

    Attributes:
        sites: name -> site, ``residual`` first.
        absent: names of sites that the model has not, and why.
    """

    sites: Mapping[str, Site] = field(default_factory=dict)
    absent: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Tried:
    """What one pass of a probe gave at some points.

    Attributes:
        vectors: a copy for each point that gave one vector per token, float (texts, tokens, width).
        problems: why each other point that was passed gave none.
        output: what the model returned.
    """

    vectors: dict[CapturePoint, torch.Tensor] = field(default_factory=dict)
    problems: dict[CapturePoint, str] = field(default_factory=dict)
    output: object = None


def no_sites(reason: str) -> FoundSites:
    """What can be read by name where the blocks are not known: nothing.

    Args:
        reason: why they are not.
    """
    return FoundSites(absent=dict.fromkeys(_WHAT, reason))


def try_points(reader: torch.nn.Module, points: set[CapturePoint], probe: Probe) -> Tried:
    """Runs the reader on the probe and keeps what passes the points."""
    tried = Tried()

    def receive(point: CapturePoint, value: object) -> None:
        try:
            vectors = captured_tensor(value, probe.n_texts, probe.n_tokens)
            tried.vectors[point] = vectors.detach().clone()
        except ModelError as error:
            tried.problems[point] = str(error)

    with torch.inference_mode(), reading(reader, tuple(points), receive):
        tried.output = reader(**probe.inputs)
    return tried


def make_site(name: str, points: Points, tried: Tried, *, what: str) -> Site:
    """A site whose points have been tried.

    Raises:
        ModelError: a point is not passed, gives no vector per token, or gives another width than the others.
    """
    widths: dict[int, CapturePoint] = {}
    for point in points.values():
        if point in tried.problems:
            raise ModelError(f"{point} {tried.problems[point]}")
        if point not in tried.vectors:
            raise ModelError(f"{point} is not there: no forward pass gets to it")
        widths.setdefault(tried.vectors[point].shape[-1], point)
    if len(widths) > 1:
        found = " and ".join(f"{width} at {point}" for width, point in widths.items())
        raise ModelError(f"its vectors must be of one width, but are {found}")
    return Site(name=name, points=points, width=next(iter(widths)), what=what)


def find_sites(
    reader: torch.nn.Module, anatomy: Anatomy, trace: Trace, probe: Probe
) -> tuple[FoundSites, Tried]:
    """The named sites of a model whose blocks are known, each tried on a probe.

    Sublayers are found by the names that known families give them. In blocks of other names they are taken
    to be the last linear module inside and outside attention, and this is believed only where their outputs
    add up to what the block adds to the residual stream.

    Args:
        reader: the model.
        anatomy: its blocks.
        trace: the pass that they were found in.
        probe: what the sites are tried on.

    Returns:
        The sites, and what the probe gave.
    """
    named = _named_points(reader, anatomy)
    guessed = _guessed_points(reader, anatomy, trace, named)
    every = {point for points in (*named.values(), *guessed.values()) for point in points.values()}
    tried = try_points(reader, every, probe)
    believed = {name: named[name] | guessed.get(name, {}) for name in named}
    if any(guessed.values()) and _adds_up(believed, tried):
        named = {name: dict(sorted(points.items())) for name, points in believed.items()}
    sites: dict[str, Site] = {}
    absent: dict[str, str] = {}
    for name, points in named.items():
        if not points:
            absent[name] = _why_absent(name, named)
            continue
        try:
            sites[name] = make_site(name, points, tried, what=_WHAT[name])
        except ModelError as error:
            absent[name] = str(error)
    return FoundSites(sites=sites, absent=absent), tried


def _named_points(reader: torch.nn.Module, anatomy: Anatomy) -> dict[str, Points]:
    """Where each site is read, by the names that known families give their modules."""
    paths = {path for path, _ in reader.named_modules(remove_duplicate=False)}
    n_blocks = len(anatomy.blocks)
    points: dict[str, Points] = {name: {} for name in _WHAT}
    points["residual"] = dict(enumerate(anatomy.residual))
    if anatomy.final_norm is not None:
        points["final_norm"] = {n_blocks: anatomy.final_norm}
    for layer, block in enumerate(anatomy.blocks, start=1):
        for name, candidates in (
            ("mlp", _DOWN_PROJECTIONS),
            ("attention", _OUTPUT_PROJECTIONS),
            ("cross_attention", _CROSS_PROJECTIONS),
            ("mixer", _MIXERS),
        ):
            found = next((one for one in candidates if f"{block.module}.{one}" in paths), None)
            if found is not None:
                points[name][layer] = _below(block, found)
        if layer in points["mlp"]:
            points["neurons"][layer] = _entering(points["mlp"][layer])
            continue
        for one in _MIXTURES:
            inside = f"{block.module}.{one}."
            if any(path.startswith(inside) and "expert" in path.removeprefix(inside) for path in paths):
                points["mlp"][layer] = _below(block, one)
                break
    return points


def _guessed_points(
    reader: torch.nn.Module, anatomy: Anatomy, trace: Trace, named: Mapping[str, Points]
) -> dict[str, Points]:
    """Where sublayers of blocks with unknown names may be read: their last linear modules."""
    kinds = {call.path: call.kind for call in trace.calls}
    guessed: dict[str, Points] = {"attention": {}, "mlp": {}, "neurons": {}}
    for layer, block in enumerate(anatomy.blocks, start=1):
        inside = f"{block.module}."
        linear = [
            path.removeprefix(inside)
            for path, kind in kinds.items()
            if path.startswith(inside)
            and _LINEAR.search(kind)
            and not _OTHER.search(path.removeprefix(inside))
        ]
        attention = [path for path in linear if _ATTENTION.search(path)]
        others = [path for path in linear if not _ATTENTION.search(path)]
        if attention and layer not in named["attention"] and layer not in named["mixer"]:
            guessed["attention"][layer] = _below(block, attention[-1])
        if others and layer not in named["mlp"] and layer not in named["mixer"]:
            guessed["mlp"][layer] = _below(block, others[-1])
            guessed["neurons"][layer] = _entering(guessed["mlp"][layer])
    return guessed


def _adds_up(points: Mapping[str, Points], tried: Tried) -> bool:
    """True when in every block the sublayers give what the block adds to the residual stream."""
    residual = points["residual"]
    parts = [points[name] for name in ("attention", "cross_attention", "mlp", "mixer")]
    for layer in range(1, len(residual)):
        places = [residual[layer], residual[layer - 1], *(part[layer] for part in parts if layer in part)]
        vectors = [tried.vectors[place] for place in places if place in tried.vectors]
        if len(places) < 3 or len(vectors) < len(places) or len({one.shape for one in vectors}) > 1:
            return False
        after, before, *given = (one.float() for one in vectors)
        added = after - before
        missing = torch.linalg.vector_norm(added - torch.stack(given).sum(dim=0))
        # In 16 bits a good part of a small addition to a large stream is rounded away.
        tolerance = 1e-3 if vectors[0].dtype == torch.float32 else 0.1
        if not missing <= tolerance * torch.linalg.vector_norm(added):
            return False
    return True


def _why_absent(name: str, points: Mapping[str, Points]) -> str:
    if name == "final_norm":
        return "no norm follows its last block"
    if name == "neurons" and points["mlp"]:
        return "its feed-forward sublayer is a mixture of experts"
    return _NOT_FOUND


def _below(block: CapturePoint, path: str) -> CapturePoint:
    return CapturePoint(module=f"{block.module}.{path}", end="output", call=block.call)


def _entering(point: CapturePoint) -> CapturePoint:
    return CapturePoint(module=point.module, end="input", call=point.call)
