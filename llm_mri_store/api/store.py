"""The store as users hold it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import pyarrow as pa

from llm_mri_store.api.import_options import ImportOptions
from llm_mri_store.api.listing import listing
from llm_mri_store.api.named import Named
from llm_mri_store.api.scan import Scan
from llm_mri_store.api.scan_options import ScanOptions, scan_request
from llm_mri_store.api.table import Table
from llm_mri_store.errors import InvalidInput
from llm_mri_store.records.jobs import LostPart, Problem, ProgressCallback, no_progress
from llm_mri_store.records.words import span_words
from llm_mri_store.store import catalogue, results, sandbox
from llm_mri_store.store.connection import Value
from llm_mri_store.store.paths import StorePaths
from llm_mri_store.store.queries import NamedQuery, named_query, query_names
from llm_mri_store.store.selection import select, why_no_reduction

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from llm_mri_store.api.reduction import Reduction
    from llm_mri_store.extraction.arrays import ActivationsLike
    from llm_mri_store.extraction.sources import CorpusLike

DEFAULT_FOLDER = "llm-mri-store"
STORE_VARIABLE = "LLM_MRI_STORE"


class Store:
    """A directory of scans.

    Args:
        path: the directory; by default the one named by the environment variable LLM_MRI_STORE, else
            ``llm-mri-store`` in the working directory. It is made by the first scan.
    """

    def __init__(self, path: str | Path | None = None) -> None:
        named = path or os.environ.get(STORE_VARIABLE) or DEFAULT_FOLDER
        if "\0" in str(named):
            raise InvalidInput(f"{str(named)!r} cannot name a folder")
        self.path = Path(os.path.expanduser(named)).resolve()

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
        site: str = "residual",
        pooling: str = "auto",
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
            site: where in a block activations are read: residual, final_norm, mlp, neurons, attention (as far
                as the model has them; ``llm-mri sites MODEL`` lists them), or a module path pattern such as
                ``h.{layer}.mlp``.
            pooling: how a text's tokens become one vector: first, last, mean, max; auto is first for
                bidirectional encoders and last for causal models; tokens makes each token a sample.
            progress: told how far it is, in characters of text.
            **options: see ``ScanOptions``.

        Raises:
            CorpusError, ModelError, InvalidInput, UnknownName: it cannot be done; nothing was written.
            AlreadyThere: the name is taken by a scan of other inputs.
            StoreBusy: another process writes this scan.
            WriteFailed: the store cannot be written to.
        """
        (done,) = self.scan_many(
            model, corpus, sites=[site], poolings=[pooling], progress=progress, **options
        )
        return done

    def scan_many(
        self,
        model: str | Path | PreTrainedModel,
        corpus: CorpusLike,
        *,
        sites: Sequence[str] = ("residual",),
        poolings: Sequence[str] = ("auto",),
        progress: ProgressCallback = no_progress,
        **options: Unpack[ScanOptions],
    ) -> list[Scan]:
        """As ``scan``, for several sites and poolings at once: one forward pass, a scan of each combination.

        Args:
            model: see ``scan``.
            corpus: see ``scan``.
            sites: where activations are read.
            poolings: how a text's tokens become one vector.
            progress: told how far it is, in characters of text.
            **options: see ``ScanOptions``; what tells the scans apart is added to ``name``.

        Returns:
            The scans, each an ordinary one: site by site, pooling by pooling.

        Raises:
            LlmMriError: as ``scan``.
        """
        from llm_mri_store.pipeline.scan import run_scan

        request = scan_request(model, corpus, sites=sites, poolings=poolings, options=options)
        entries = run_scan(self.path, request, progress=progress)
        scans = [Scan(self._paths(), entry.name) for entry in entries]
        for scan in scans:
            scan.quality(progress=progress)
        return scans

    def plan(
        self,
        model: str | Path | PreTrainedModel,
        corpus: CorpusLike,
        *,
        sites: Sequence[str] = ("residual",),
        poolings: Sequence[str] = ("auto",),
        **options: Unpack[ScanOptions],
    ) -> Table:
        """What ``scan_many`` would do, without doing it: a row per scan. Nothing is written.

        Returns:
            Columns scan, site, pooling, n_samples, n_tokens (that the model reads), tokens_are_counted (else
            estimated from some texts), layers, width, n_chunks, n_chunks_done, megabytes (of activations).

        Raises:
            LlmMriError: as ``scan``.
        """
        from llm_mri_store.pipeline.estimate import estimate
        from llm_mri_store.pipeline.plan import plan_scans

        request = scan_request(model, corpus, sites=sites, poolings=poolings, options=options)
        found = estimate(plan_scans(self.path, request), StorePaths(self.path))
        rows = [
            {
                "scan": one.name,
                "site": one.site,
                "pooling": one.pooling,
                "n_samples": one.n_samples,
                "n_tokens": one.n_tokens,
                "tokens_are_counted": one.is_counted,
                "layers": span_words(one.layers),
                "width": one.width,
                "n_chunks": one.n_chunks,
                "n_chunks_done": one.n_chunks_done,
                "megabytes": one.megabytes,
            }
            for one in found
        ]
        return Table(pa.Table.from_pylist(rows))

    def import_activations(
        self,
        activations: ActivationsLike,
        samples: CorpusLike,
        *,
        progress: ProgressCallback = no_progress,
        **options: Unpack[ImportOptions],
    ) -> Scan:
        """Makes a scan of activations that were computed elsewhere; all that works on a scan works on it.

        The same call again goes on where it was interrupted, or returns the finished scan at once.

        Args:
            activations: a .npy, .npz, .safetensors, .parquet, .h5 or .hdf5 file, a folder of such files or
                one written by ``save_to_disk``; a float array (samples, width) or (samples, layers, width);
                or a mapping of layers to arrays (samples, width).
            samples: their texts and labels, one row per sample in the same order: whatever a scan's corpus
                may be.
            progress: told how far it is, in samples and chunks.
            **options: see ``ImportOptions``.

        Raises:
            CorpusError, InvalidInput, UnknownName: it cannot be done; nothing was written.
            AlreadyThere: the name is taken by a scan of other inputs.
            StoreBusy: another process writes this scan.
            WriteFailed: the store cannot be written to.
        """
        from llm_mri_store.pipeline.import_scan import ImportRequest, run_import

        request = ImportRequest(activations=activations, samples=samples, **options)
        entry = run_import(self.path, request, progress=progress)
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
        """Removes a scan with its reductions and results, a reduction with its results, or one result.

        Args:
            name: ``scan``, ``scan/reduction``, ``scan/kind/result`` or ``scan/reduction/kind/result``.

        Raises:
            UnknownName: it is not there.
            StoreBusy: the scan is being written.
            WriteFailed: it cannot be removed; or a scan is, but not all of its files can be deleted.
        """
        scan, *below = name.split("/")
        if not below:
            catalogue.remove_scan(self._paths(), scan)
        elif len(below) == 1:
            catalogue.remove_reduction(self._paths(), scan, below[0])
        else:
            results.remove_result(self._paths(), name)

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

    def repair(
        self,
        scan: str,
        *,
        agree: Callable[[Sequence[LostPart]], bool] = lambda _: True,
        progress: ProgressCallback = no_progress,
    ) -> tuple[tuple[LostPart, ...], tuple[Problem, ...]]:
        """Removes the damaged chunks, reductions and results of a scan, so that they can be made anew.

        The same scan command makes the missing chunks again, and no others.

        Args:
            scan: the scan.
            agree: told what would be removed, and asked whether it may be; yes by default.
            progress: told how far the check is.

        Returns:
            What was removed, and the problems that are left.

        Raises:
            UnknownName: there is no such scan.
            StoreBusy: it is being written.
        """
        from llm_mri_store.store.repair import repair_scan

        return repair_scan(self._paths(), scan, agree=agree, progress=progress)

    def prunable_bytes(self, scan: str) -> int:
        """Bytes that ``prune`` would free.

        Raises:
            UnknownName: there is no such scan.
            InvalidInput: the scan is not complete, or has no reduction.
        """
        from llm_mri_store.store.prune import prunable_bytes

        return prunable_bytes(self._paths(), scan)

    def prune(self, scan: str) -> int:
        """Removes a scan's activations, which are most of its bytes; samples, points, cells and results stay.

        What needs activations is refused from then on: new reductions, probes of full activations and
        neighbours. How good the layers are is computed before, and kept.

        Returns:
            Bytes that were freed.

        Raises:
            UnknownName: there is no such scan.
            InvalidInput: the scan is not complete, or has no reduction.
            StoreBusy: it is being written.
            WriteFailed: the store cannot be written to.
        """
        from llm_mri_store.store.prune import prune_scan

        self.prunable_bytes(scan)
        self.find(scan).quality()
        return prune_scan(self._paths(), scan)

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
        """Refuses what ``remove`` cannot find; what is damaged may still be removed.

        Raises:
            UnknownName: it is not there.
        """
        scan, *below = name.split("/")
        if len(below) < 2:
            catalogue.refuse_missing(self._paths(), scan, *below)
        else:
            results.refuse_missing_result(self._paths(), name)

    def listing(self) -> Table:
        """A row per scan: what it read, whether it is complete, and the names of its reductions."""
        return listing(self.scans.values())
