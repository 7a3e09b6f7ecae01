-- What each layer of every contrast that was kept came to, with the same of its random twin beside it.
-- source: the twin as the dead salmon of Bennett et al. 2010: what random weights show as well needs no training
-- column: result VARCHAR - name of the test
-- column: a VARCHAR - side A: a label, or several joined by +
-- column: b VARCHAR - side B, or rest: all other labels
-- column: layer INTEGER - the layer
-- column: is_degenerate BOOLEAN - activations do not vary between texts: left out of the test
-- column: n_tested BIGINT - cells tested
-- column: n_cells BIGINT - cells with a family-wise p of at most 0.05
-- column: n_cells_tfce BIGINT - the same by TFCE
-- column: n_clusters BIGINT - clusters with such a p
-- column: largest_score DOUBLE - largest absolute score
-- column: largest_difference DOUBLE - largest absolute difference of shares of a cell tested
-- column: smallest_p_fwe DOUBLE - smallest family-wise p of a cell
-- column: twin_n_tested BIGINT - the same of the twin: cells tested
-- column: twin_n_cells BIGINT - the same of the twin: cells with a family-wise p of at most 0.05
-- column: twin_n_cells_tfce BIGINT - the same of the twin: the same by TFCE
-- column: twin_n_clusters BIGINT - the same of the twin: clusters with such a p
-- column: twin_largest_score DOUBLE - the same of the twin: largest absolute score
-- column: twin_largest_difference DOUBLE - the same of the twin: largest absolute difference of shares of a cell tested
-- column: twin_smallest_p_fwe DOUBLE - the same of the twin: smallest family-wise p of a cell
-- column: also_in_twin BOOLEAN - both differ, by a cell, TFCE or a cluster; NULL where one was not tested
SELECT
    result,
    a,
    b,
    layer,
    is_degenerate,
    n_tested,
    n_cells,
    n_cells_tfce,
    n_clusters,
    largest_score,
    largest_difference,
    smallest_p_fwe,
    twin_n_tested,
    twin_n_cells,
    twin_n_cells_tfce,
    twin_n_clusters,
    twin_largest_score,
    twin_largest_difference,
    twin_smallest_p_fwe,
    also_in_twin
FROM contrast_layers
ORDER BY result, layer;
