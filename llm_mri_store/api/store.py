"""The store as users hold it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

import pyarrow as pa

from llm_mri_store.api.named import Named
from llm_mri_store.api.scan import Scan
from llm_mri_store.api.table import Table
from llm_mri_store.errors import InvalidInput
from llm_mri_store.records import Problem, ProgressCallback, no_progress
from llm_mri_store.store import catalogue, sandbox
from llm_mri_store.store.connection import Value, select, why_no_reduction
from llm_mri_store.store.paths import StorePaths
from llm_mri_store.store.queries import NamedQuery, named_query, query_names

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from llm_mri_store.api.reduction import Reduction
    from llm_mri_store.extraction.sources import CorpusLike

DEFAULT_FOLDER = "llm-mri-store"
STORE_VARIABLE = "LLM_MRI_STORE"


class ScanOptions(TypedDict, total=False):
    """What a scan may be told; the meaning of each stands in ``Store.scan``."""

    name: str | None
    model_name: str | None
    tokenizer: PreTrainedTokenizerBase | None
    revision: str | None
    device: str
    dtype: str
    random_weights: int | None
    trust_remote_code: bool
    text_column: str
    label_column: str
    split: str | None
    subset: str | None
    corpus_revision: str | None
    limit: int | None
    keep_invalid: bool
    site: str
    pooling: str
    force: bool
    layers: Sequence[int] | None
    max_tokens: int | None
    batch_tokens: int | None
    chunk_samples: int | None


_MODEL_OPTIONS = frozenset(
    {"tokenizer", "revision", "device", "dtype", "random_weights", "trust_remote_code"}
)


class Store:
    """A directory of scans.

    Args:
        path: the directory; by default the one named by the environment variable LLM_MRI_STORE, else
            ``llm-mri-store`` in the working directory. It is made by the first scan.
    """

    def __init__(self, path: str | Path | None = None) -> None:
        self.path = Path(path or os.environ.get(STORE_VARIABLE) or DEFAULT_FOLDER).expanduser().resolve()

    def __repr__(self) -> str:
        return f"Store({str(self.path)!r})"

    def _paths(self) -> StorePaths:
        return catalogue.open_store(self.path)

    @property
    def scans(self) -> Named[Scan]:
        """The scans by name.

        Raises:
            StoreCorrupt: there is no store here.
        """
        paths = self._paths()
        return Named(lambda: catalogue.scan_names(paths), lambda name: Scan(paths, name))

    def scan(
        self,
        model: str | Path | PreTrainedModel,
        corpus: CorpusLike,
        *,
        progress: ProgressCallback = no_progress,
        **options: Unpack[ScanOptions],
    ) -> Scan:
        """Runs a labelled corpus through a model and keeps a pooled activation per text and layer.

        The same call again goes on where it was interrupted, or returns the finished scan at once.

        Args:
            model: a Hugging Face Hub id, a folder written by ``save_pretrained``, or a loaded model.
            corpus: a .csv, .tsv, .jsonl or .parquet file, a ``save_to_disk`` folder, a folder of one
                folder of .txt files per label, a Hub id, a datasets.Dataset, a data frame, an Arrow table
                or mappings.
            progress: told how far it is, in characters of text.
            **options: ``name`` of the scan; ``model_name`` to show; ``tokenizer`` of a loaded model;
                ``revision`` of a Hub model; ``device`` (auto); ``dtype`` (auto, float32, bfloat16,
                float16); ``random_weights``, a seed: fresh weights instead of the trained ones;
                ``trust_remote_code`` (off); ``text_column`` and ``label_column``; ``split``, ``subset``
                and ``corpus_revision`` of a dataset; ``limit``, first rows only; ``keep_invalid`` keeps
                null texts and labels with a status; ``site`` (residual); ``pooling`` (auto, first, last,
                mean, max) and ``force`` for ``first`` on a causal model; ``layers`` to keep;
                ``max_tokens`` a text is cut to; ``batch_tokens`` per forward pass; ``chunk_samples`` per
                commit.

        Raises:
            CorpusError, ModelError, InvalidInput, UnknownName: it cannot be done; nothing was written.
            AlreadyThere: the name is taken by a scan of other inputs.
            StoreBusy: another process writes this scan.
            WriteFailed: the store cannot be written to.
        """
        from llm_mri_store.extraction.models import ModelRequest
        from llm_mri_store.pipeline.scan import ScanRequest, run_scan

        given = {**options}
        of_model = {name: given.pop(name) for name in sorted(_MODEL_OPTIONS & given.keys())}
        model_request = ModelRequest(model=model, name=given.pop("model_name", None), **of_model)  # type: ignore[arg-type]
        request = ScanRequest(model=model_request, corpus=corpus, **given)  # type: ignore[arg-type]
        entry = run_scan(self.path, request, progress=progress)
        return Scan(self._paths(), entry.name)

    def sql(
        self,
        query: str,
        parameters: Mapping[str, Value] | None = None,
        *,
        scan: str | Sequence[str] | None = None,
        reduction: str | None = None,
        timeout_s: float = 60.0,
    ) -> Table:
        """Rows of a query over the store's views: read-only, no files, no network.

        Args:
            query: one SELECT, or the name of a named query such as ``"heatmap"``.
            parameters: value of each ``$name``.
            scan: the scan whose views are seen, as ``"name"`` or ``"name/reduction"``; several are opened
                side by side, each in a schema of its name. A store's only scan needs no naming.
            reduction: the reduction of the (first) scan; its only one needs no naming.
            timeout_s: seconds after which a SELECT is interrupted.

        Raises:
            UnknownName: a scan, reduction, query, label or layer is not there.
            QueryForbidden: the SQL would do more than read the views.
            QueryTimeout: it ran too long.
            QueryError: DuckDB refuses it.
        """
        from llm_mri_store.analysis.questions import ask

        scans = [scan] if isinstance(scan, str) else list(scan or [])
        selection = select(self._paths(), scans, reduction)
        words = query.strip()
        if words.isidentifier():
            return Table(ask(selection, words, parameters))
        return Table(sandbox.run(selection, query, parameters, timeout_s=timeout_s))

    @property
    def queries(self) -> Named[NamedQuery]:
        """The named queries: what each answers, its parameters, its columns and its SQL."""
        return Named(query_names, named_query)

    def remove(self, name: str) -> None:
        """Removes a scan with its reductions, or one reduction named ``scan/reduction``.

        Raises:
            UnknownName: it is not there.
            StoreBusy: the scan is being written.
        """
        scan, slash, reduction = name.partition("/")
        if slash:
            catalogue.remove_reduction(self._paths(), scan, reduction)
        else:
            catalogue.remove_scan(self._paths(), scan)

    def verify(self, scan: str | None = None, *, progress: ProgressCallback = no_progress) -> list[Problem]:
        """Checks every file against its digest, and tables against each other; an empty list is good.

        Args:
            scan: only this scan; all by default.
            progress: told how far it is, in files.

        Raises:
            UnknownName: there is no such scan.
        """
        from llm_mri_store.store.verify import verify_store

        return verify_store(self._paths(), scan, progress=progress)

    def find(self, name: str | None = None) -> Scan:
        """A scan by its name; the store's only scan needs no naming.

        Raises:
            UnknownName: it is not there.
            InvalidInput: none is named and there is not exactly one.
        """
        names = list(self.scans)
        if name is None and len(names) != 1:
            there = f"there are: {', '.join(names)}" if names else "there is none yet"
            raise InvalidInput(f"name a scan of store {self.path}; {there}")
        return self.scans[names[0] if name is None else name]

    def reduction(self, scan: str | None = None, reduction: str | None = None) -> Reduction:
        """A reduction, named by scan and reduction or as ``scan/reduction``; an only one needs no naming.

        Raises:
            UnknownName: it is not there.
            InvalidInput: none is named and there is not exactly one.
        """
        scan_name, _, of_name = (scan or "").partition("/")
        found = self.find(scan_name or None)
        name = reduction or of_name or None
        names = list(found.reductions)
        if name is None and len(names) != 1:
            raise InvalidInput(why_no_reduction(catalogue.find_scan(self._paths(), found.name)))
        return found.reductions[names[0] if name is None else name]

    def check(self, name: str) -> None:
        """Refuses a ``scan`` or ``scan/reduction`` that is not there, even one whose records are damaged.

        Raises:
            UnknownName: it is not there.
        """
        scan, _, reduction = name.partition("/")
        catalogue.refuse_missing(self._paths(), scan, reduction or None)

    def listing(self) -> Table:
        """A row per scan: what it read, whether it is complete, and the names of its reductions."""
        rows = []
        for name, scan in self.scans.items():
            spec = scan.spec
            rows.append(
                {
                    "scan": name,
                    "status": "complete" if scan.is_complete else "partial",
                    "model": spec.model,
                    "corpus": spec.corpus,
                    "n_samples": spec.n_samples,
                    "n_labels": len(spec.labels),
                    "layers": f"{spec.layers[0]}-{spec.layers[-1]}",
                    "pooling": spec.pooling,
                    "reductions": ", ".join(scan.reductions),
                }
            )
        columns = (
            "scan",
            "status",
            "model",
            "corpus",
            "n_samples",
            "n_labels",
            "layers",
            "pooling",
            "reductions",
        )
        return Table(pa.table({column: [row[column] for row in rows] for column in columns}))
