"""What tests of edges did and found, in sentences."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from llm_mri_store.analysis.contrast_sides import Sides
from llm_mri_store.analysis.contrast_spec import ALPHA, ContrastSpec
from llm_mri_store.analysis.edge_nulls import Given


def source_sentence(spec: ContrastSpec) -> str:
    """What was permuted where the source is given."""
    held = f" and agree in {' and '.join(spec.strata)}" if spec.strata else ""
    return (
        f"Labels were permuted among samples that share the source's cell{held}, at each pair of layers "
        "anew: what differs is where samples of one cell go, not how many each cell holds."
    )


def difference_sentences(
    edges: pa.Table, components: pa.Table, sides: Sides, spec: ContrastSpec, given: Given
) -> list[str]:
    """What differs, or that nothing does."""
    tested = edges.filter(edges["is_tested"])
    if not edges.num_rows:
        return ["There is no edge to compare: no two neighbouring layers vary."]
    left_out = (
        f"{edges.num_rows - tested.num_rows:,} of {edges.num_rows:,} edges were not tested: so few samples "
        "take them that none could pass a correction for their number, whatever their labels."
    )
    if not tested.num_rows:
        return [left_out, "So no edge was tested; take more samples, or a coarser grid."]
    found = tested.filter(pc.less_equal(tested["p_fwe"], ALPHA))
    n_exploratory = pc.sum(pc.less_equal(tested["q"], ALPHA)).as_py()
    if found.num_rows:
        row = found.slice(int(np.abs(found["score"].to_numpy()).argmax()), 1).to_pylist()[0]
        there = " in that source" if given == "source" else ""
        words = (
            f"{found.num_rows:,} of {tested.num_rows:,} edges tested differ (family-wise p <= {ALPHA}); "
            f"most clearly {row['source']} -> {row['target']}, which {row['share_a']:.1%} of "
            f"{sides.name_a}{there} and {row['share_b']:.1%} of {sides.name_b}{there} take."
        )
    else:
        least = pc.min(tested["p_fwe"]).as_py()
        words = (
            f"No edge of the {tested.num_rows:,} tested differs by itself at a family-wise p of {ALPHA}; the "
            f"smallest is {least:.2g}."
        )
    n_components = pc.sum(pc.less_equal(components["p_fwe"], ALPHA)).as_py() or 0
    return [
        left_out,
        words,
        f"{n_exploratory:,} have q <= {ALPHA} (false discovery rate, for exploration).",
        f"Of {components.num_rows:,} connected sets of edges whose score exceeds {spec.cluster_threshold:g}, "
        f"{n_components:,} {'is' if n_components == 1 else 'are'} larger than chance makes the largest "
        f"(family-wise p <= {ALPHA}).",
    ]
