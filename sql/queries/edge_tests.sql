-- Edges that more samples take than chance allows, or fewer: every edge of every test that was kept.
-- source: exact p of (sums of) hypergeometric counts, those tested by Tarone 1990;
-- llm_mri_store/analysis/edge_couplings.py and edge_differences.py
-- column: result VARCHAR - name of the test
-- column: test VARCHAR - coupling: of one label, against independent neighbouring layers; difference: of A against B
-- column: a VARCHAR - side A, or the one label; NULL for all samples
-- column: b VARCHAR - side B; NULL for a coupling
-- column: layer INTEGER - the layer it leaves
-- column: next_layer INTEGER - the layer it leads to
-- column: source VARCHAR - its node at the layer
-- column: target VARCHAR - its node at the next layer
-- column: from_x INTEGER - cell_x of the source
-- column: from_y INTEGER - cell_y of the source
-- column: to_x INTEGER - cell_x of the target
-- column: to_y INTEGER - cell_y of the target
-- column: weight_a BIGINT - samples of A on it
-- column: weight_b BIGINT - samples of B on it; NULL for a coupling
-- column: n_a BIGINT - samples of A, or those in the source's cell where that is given
-- column: n_b BIGINT - the same of B
-- column: n_from BIGINT - of a coupling: samples in the source's cell
-- column: n_to BIGINT - of a coupling: samples in the target's cell
-- column: share_a DOUBLE - weight_a / n_a, in [0, 1]
-- column: share_b DOUBLE - weight_b / n_b, in [0, 1]
-- column: difference DOUBLE - share_a - share_b; NULL for a coupling
-- column: difference_low DOUBLE - lower end of its 95 % interval
-- column: difference_high DOUBLE - upper end of its 95 % interval
-- column: expected_a DOUBLE - samples of A on it by chance
-- column: lift_a DOUBLE - weight_a / expected_a
-- column: z DOUBLE - weight_a beyond expected_a in standard deviations over all relabelings
-- column: is_tested BOOLEAN - enough samples to speak; what follows is NULL where not, but for the score
-- column: score DOUBLE - the two-sided p as a normal deviate, > 0 for more of A than by chance
-- column: p DOUBLE - p by itself
-- column: q DOUBLE - p adjusted by Benjamini & Hochberg 1995 over all that was tested, for exploration
-- column: p_fwe DOUBLE - family-wise p: by the smallest p of all edges tested
-- column: component INTEGER - number of its connected set of edges; NULL for none
-- column: p_component DOUBLE - family-wise p of that set
SELECT
    result,
    test,
    a,
    b,
    layer,
    next_layer,
    source,
    target,
    from_x,
    from_y,
    to_x,
    to_y,
    weight_a,
    weight_b,
    n_a,
    n_b,
    n_from,
    n_to,
    share_a,
    share_b,
    difference,
    difference_low,
    difference_high,
    expected_a,
    lift_a,
    z,
    is_tested,
    score,
    p,
    q,
    p_fwe,
    component,
    p_component
FROM edge_tests
ORDER BY result, layer, from_x, from_y, to_x, to_y;
