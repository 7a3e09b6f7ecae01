"""The rows that tests of several kinds have alike: the test itself, and which sides a row is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import pyarrow as pa
import pyarrow.compute as pc

from llm_mri_store import schema
from llm_mri_store.analysis.contrast_plan import DesignFacts
from llm_mri_store.analysis.contrast_sides import REST
from llm_mri_store.analysis.contrast_spec import ALPHA, ContrastSpec


def row_of_test(
    kind: str,
    spec: ContrastSpec,
    p: pa.ChunkedArray,
    *,
    facts: DesignFacts | None,
    sentences: Sequence[str],
    **known: object,
) -> pa.Table:
    """A table of one row: the test, what it exchanged, and what it came to.

    Args:
        kind: the kind of test.
        spec: what was exchanged within what.
        p: family-wise p of everything that was tested, NULL where nothing was.
        facts: of the exchange; None where samples of one label were permuted.
        sentences: what was done and found.
        **known: values of further columns; the others are NULL.
    """
    of_design = {} if facts is None else asdict(facts)
    row = {
        "kind": kind,
        "n_tested": pc.count(p).as_py(),
        "n_found": count_found(p),
        "p": pc.min(p).as_py(),
        "strata": list(spec.strata),
        "groups": spec.groups,
        "seed": spec.seed,
        "sentences": list(sentences),
        **of_design,
        **known,
    }
    declared = schema.result_schema(kind, schema.TESTS).remove(0)
    return pa.Table.from_pylist([row], schema=declared)


def count_found(p: pa.ChunkedArray) -> int:
    """How many p are at most 0.05; NULL is none."""
    return pc.sum(pc.less_equal(p, ALPHA)).as_py() or 0


def with_columns(rows: pa.Table, columns: Mapping[str, object]) -> pa.Table:
    """Rows with further columns: a value for all of them, or an array of one for each."""
    for name, value in columns.items():
        is_column = isinstance(value, pa.Array | pa.ChunkedArray)
        rows = rows.append_column(name, value if is_column else pa.array([value] * rows.num_rows))
    return rows


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedSides:
    """Both sides of a test as they were asked for.

    Attributes:
        a, b: labels of either side; None for all others.
        names: the sides as tables name them.
    """

    a: tuple[str, ...]
    b: tuple[str, ...] | None
    names: tuple[str, str]

    @property
    def columns(self) -> dict[str, str]:
        """The columns a and b."""
        return dict(zip(("a", "b"), self.names, strict=True))


def name_sides(known: Sequence[str], a: str | Sequence[str], b: str | Sequence[str] | None) -> NamedSides:
    """Both sides of a test: the labels of each, and what tables call it.

    Args:
        known: the labels there are.
        a: a label or several.
        b: a label or several; None, or ``rest`` where no label is called so, for all others.

    >>> name_sides(["x", "y"], ["x", "y"], "rest").names
    ('x + y', 'rest')
    """
    side_a = (a,) if isinstance(a, str) else tuple(a)
    side_b = (b,) if isinstance(b, str) else None if b is None else tuple(b)
    if side_b == (REST,) and REST not in known:
        side_b = None
    return NamedSides(
        a=side_a, b=side_b, names=(" + ".join(side_a), REST if side_b is None else " + ".join(side_b))
    )
