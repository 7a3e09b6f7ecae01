-- Where two labels differ: every cell of every contrast that was kept.
-- source: z by Mantel & Haenszel 1959, intervals by Newcombe 1998 and Woolf 1955, within strata by Sato 1989 and
-- Robins, Breslow & Greenland 1986; TFCE by Smith & Nichols 2009; all in llm_mri_store/analysis/contrast.py
-- column: result VARCHAR - name of the test
-- column: a VARCHAR - side A: a label, or several joined by +
-- column: b VARCHAR - side B, or rest: all other labels
-- column: layer INTEGER - the layer
-- column: cell_x INTEGER - 0-based cell along component 1
-- column: cell_y INTEGER - 0-based cell along component 2
-- column: n_a BIGINT - samples of A in the cell
-- column: n_b BIGINT - samples of B in the cell
-- column: share_a DOUBLE - n_a as a share of A's samples, in [0, 1]
-- column: share_b DOUBLE - n_b as a share of B's samples, in [0, 1]
-- column: difference DOUBLE - share_a - share_b, nothing held constant; NULL for an empty cell
-- column: difference_low DOUBLE - lower end of its 95 % interval
-- column: difference_high DOUBLE - upper end of its 95 % interval
-- column: log_odds DOUBLE - log of the odds ratio of A against B to be in the cell, half a sample added to each count
-- column: log_odds_low DOUBLE - lower end of its 95 % interval
-- column: log_odds_high DOUBLE - upper end of its 95 % interval
-- column: adjusted_difference DOUBLE - the difference within strata; NULL without strata
-- column: adjusted_difference_low DOUBLE - lower end of its 95 % interval
-- column: adjusted_difference_high DOUBLE - upper end of its 95 % interval
-- column: adjusted_log_odds DOUBLE - Mantel & Haenszel's common log odds ratio of strata; NULL without strata
-- column: adjusted_log_odds_low DOUBLE - lower end of its 95 % interval
-- column: adjusted_log_odds_high DOUBLE - upper end of its 95 % interval
-- column: design_effect DOUBLE - what groups widen the intervals by, as a factor of the variance; NULL without groups
-- column: is_tested BOOLEAN - it holds enough samples and depends on labels; NULL in what follows where not
-- column: z DOUBLE - samples of A beyond those expected, in standard deviations of chance; > 0 where A has more
-- column: score DOUBLE - z with the skewness of its null distribution taken out: what p, clusters and TFCE go by
-- column: p DOUBLE - p by itself
-- column: p_least DOUBLE - smallest p that the cell could have had with any labels; NULL where whole groups move
-- column: q DOUBLE - p adjusted by Benjamini & Hochberg 1995 over cells whose p_least is at most 0.05, for exploration
-- column: p_fwe DOUBLE - family-wise p: by the largest score of all layers and cells
-- column: tfce DOUBLE - threshold-free cluster enhancement of the score, >= 0
-- column: p_tfce DOUBLE - its family-wise p
-- column: cluster INTEGER - number of the cell's cluster; NULL for none
-- column: p_cluster DOUBLE - family-wise p of that cluster
-- column: z_before DOUBLE - z without strata; NULL where none were asked for
-- column: p_fwe_before DOUBLE - p_fwe without strata; NULL where none were asked for
-- column: also_in_twin BOOLEAN - its layer differs here and in the random twin; NULL where one was not tested
SELECT
    result,
    a,
    b,
    layer,
    cell_x,
    cell_y,
    n_a,
    n_b,
    share_a,
    share_b,
    difference,
    difference_low,
    difference_high,
    log_odds,
    log_odds_low,
    log_odds_high,
    adjusted_difference,
    adjusted_difference_low,
    adjusted_difference_high,
    adjusted_log_odds,
    adjusted_log_odds_low,
    adjusted_log_odds_high,
    design_effect,
    is_tested,
    z,
    score,
    p,
    p_least,
    q,
    p_fwe,
    tfce,
    p_tfce,
    cluster,
    p_cluster,
    z_before,
    p_fwe_before,
    also_in_twin
FROM contrasts
ORDER BY result, layer, cell_x, cell_y;
