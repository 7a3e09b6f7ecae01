"""What a comparison of two graphs found, in sentences."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from llm_mri_store.analysis.contrast_sides import Sides
from llm_mri_store.analysis.contrast_spec import ALPHA
from llm_mri_store.analysis.jackknife import FEWEST_PARTS


def comparison_sentences(
    distances: pa.Table, metrics: pa.Table, sides: Sides, *, n_rarefied: int, has_intervals: bool
) -> list[str]:
    """What differs, and how the numbers are to be read."""
    sentences = [_finding(distances), _metric_finding(metrics)]
    sentences.append(
        "Distances between two samples are above 0 even where their labels do not differ: read value "
        "against by_chance, or take excess, which is too small where labels differ much."
    )
    if sides.n_a != sides.n_b:
        sentences.append(
            "More samples make more nodes, more edges and smaller distances. Relabelings keep the numbers "
            "of samples, so p allows for that; to compare values, take those rarefied to "
            f"{n_rarefied:,} samples a side."
        )
    if not has_intervals:
        sentences.append(
            f"There are no intervals: a side has fewer than {FEWEST_PARTS} samples or groups to leave out in "
            "turn."
        )
    return sentences


def _finding(distances: pa.Table) -> str:
    rows = [row for row in distances.to_pylist() if row["p_fwe"] is not None]
    if not rows:
        return "No distance is defined, so none was tested."
    found = [row for row in rows if row["p_fwe"] <= ALPHA]
    if found:
        words = ", ".join(
            f"{row['distance']} {row['value']:.3g} where relabelled samples give {row['by_chance']:.3g} "
            f"(p = {row['p_fwe']:.2g})"
            for row in found
        )
        return f"The graphs differ: {words}; p is family-wise over {len(rows)} distances."
    least = min(row["p_fwe"] for row in rows)
    return (
        f"None of {len(rows)} distances is larger than relabelled samples make it; the smallest family-wise "
        f"p is {least:.2g}."
    )


def _metric_finding(metrics: pa.Table) -> str:
    tested = metrics.filter(pc.is_valid(metrics["p_fwe"]))
    found = tested.filter(pc.less_equal(tested["p_fwe"], ALPHA))
    if not found.num_rows:
        return f"None of {tested.num_rows} metrics differs at a family-wise p of {ALPHA}."
    names = ", ".join(found["metric"].to_pylist())
    return f"Of {tested.num_rows} metrics {found.num_rows} differ (family-wise p <= {ALPHA}): {names}."
