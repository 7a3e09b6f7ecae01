-- Connected sets of edges in which two labels differ, of every test of edges that was kept.
-- source: network-based statistic by Zalesky, Fornito & Bullmore 2010
-- column: result VARCHAR - name of the test
-- column: a VARCHAR - side A: a label, or several joined by +
-- column: b VARCHAR - side B, or rest: all other labels
-- column: component INTEGER - number, the largest first
-- column: sign INTEGER - 1: more of A, -1: more of B
-- column: n_edges INTEGER - number of its edges
-- column: n_nodes INTEGER - number of its nodes
-- column: first_layer INTEGER - first layer it reaches
-- column: last_layer INTEGER - last layer it reaches
-- column: size DOUBLE - sum of absolute scores less the threshold
-- column: p_fwe DOUBLE - family-wise p: by the largest set of all
-- column: peak_source VARCHAR - source of the edge that differs most
-- column: peak_target VARCHAR - its target
-- column: peak_score DOUBLE - its score
SELECT
    result,
    a,
    b,
    component,
    sign,
    n_edges,
    n_nodes,
    first_layer,
    last_layer,
    size,
    p_fwe,
    peak_source,
    peak_target,
    peak_score
FROM edge_components
ORDER BY result, component;
