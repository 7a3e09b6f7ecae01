"""A chunk of texts, tokenised: what the model is given, and for which scans."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from llm_mri_store import schema
from llm_mri_store.extraction.encoding import EncodedText, encode_texts
from llm_mri_store.extraction.extractor import Ints
from llm_mri_store.extraction.tokens import kept_tokens
from llm_mri_store.pipeline.plan import PlannedScan, ScanPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkTexts:
    """A chunk of texts, ready for the model.

    Attributes:
        index: which chunk.
        ids: 0-based places of its texts in the corpus.
        texts: the texts; None where one is null.
        readable: places among these of the texts that are read.
        encoded: the readable texts as token ids.
        kept: of token scans: positions of the kept tokens of each readable text.
        scans: the scans that lack this chunk.
    """

    index: int
    ids: range
    texts: list[str | None]
    readable: list[int]
    encoded: list[EncodedText]
    kept: list[Ints] | None
    scans: tuple[PlannedScan, ...]

    @property
    def n_tokens(self) -> int:
        """Real tokens read by the model."""
        return sum(text.n_tokens for text in self.encoded)


def prepare_chunk(plan: ScanPlan, index: int, scans: Sequence[PlannedScan]) -> ChunkTexts:
    """Tokenises a chunk of texts for some of a plan's scans, which are cut alike."""
    spec = scans[0].spec
    ids = plan.texts_of(index, chunk_texts=spec.chunk_samples)
    texts = plan.corpus.rows[schema.TEXT].slice(ids.start, len(ids)).to_pylist()
    readable = [place for place, id_ in enumerate(ids) if plan.corpus.status[id_].is_readable]
    steps = {scan.spec.token_step for scan in scans if scan.spec.token_step is not None}
    encoded = encode_texts(
        plan.model,
        [texts[place] for place in readable],
        max_tokens=spec.max_tokens,
        chat_template=spec.chat_template,
        with_spans=bool(steps),
    )
    return ChunkTexts(
        index=index,
        ids=ids,
        texts=texts,
        readable=readable,
        encoded=encoded,
        kept=kept_tokens(encoded, step=steps.pop()) if steps else None,
        scans=tuple(scans),
    )
