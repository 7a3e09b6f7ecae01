-- Clusters of cells in which two labels differ, with their peaks, of every contrast that was kept.
-- source: cluster mass by Bullmore et al. 1999 and Maris & Oostenveld 2007
-- column: result VARCHAR - name of the test
-- column: a VARCHAR - side A: a label, or several joined by +
-- column: b VARCHAR - side B, or rest: all other labels
-- column: cluster INTEGER - number, the heaviest first
-- column: layer INTEGER - the layer
-- column: sign INTEGER - 1: more of A, -1: more of B
-- column: size INTEGER - number of its cells
-- column: mass DOUBLE - sum of absolute scores
-- column: p_fwe DOUBLE - family-wise p: by the heaviest cluster of all layers
-- column: n_a BIGINT - samples of A in all its cells
-- column: n_b BIGINT - samples of B in all its cells
-- column: difference DOUBLE - share of A in all its cells less that of B
-- column: peak_x INTEGER - cell_x of its largest absolute score
-- column: peak_y INTEGER - cell_y of its largest absolute score
-- column: peak_z DOUBLE - z of that cell
-- column: peak_score DOUBLE - its score
-- column: peak_difference DOUBLE - its difference of shares
-- column: peak_log_odds DOUBLE - its log odds ratio
-- column: peak_p DOUBLE - its p by itself
-- column: peak_q DOUBLE - its q, for exploration
-- column: peak_p_fwe DOUBLE - its family-wise p
-- column: peak_p_tfce DOUBLE - its family-wise p with TFCE
-- column: also_in_twin BOOLEAN - its layer differs here and in the random twin; NULL where one was not tested
SELECT
    result,
    a,
    b,
    cluster,
    layer,
    sign,
    size,
    mass,
    p_fwe,
    n_a,
    n_b,
    difference,
    peak_x,
    peak_y,
    peak_z,
    peak_score,
    peak_difference,
    peak_log_odds,
    peak_p,
    peak_q,
    peak_p_fwe,
    peak_p_tfce,
    also_in_twin
FROM contrast_clusters
ORDER BY result, cluster;
