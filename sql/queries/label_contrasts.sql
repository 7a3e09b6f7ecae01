-- In which cells any of several labels differ: every cell of every contrast of labels that was kept.
-- source: sum of squared scores, of one stratum Pearson's chi-square but for the skewness;
-- llm_mri_store/analysis/contrast_labels.py
-- column: result VARCHAR - name of the test
-- column: layer INTEGER - the layer
-- column: cell_x INTEGER - 0-based cell along component 1
-- column: cell_y INTEGER - 0-based cell along component 2
-- column: n BIGINT - samples of these labels in the cell
-- column: is_tested BOOLEAN - it holds enough samples and depends on labels; NULL in what follows where not
-- column: statistic DOUBLE - how far the labels differ, >= 0
-- column: p DOUBLE - p by itself, counted over the relabelings
-- column: q DOUBLE - p adjusted by Benjamini & Hochberg 1995 over all that was tested, for exploration
-- column: p_fwe DOUBLE - family-wise p: by the largest of all that was tested
-- column: label VARCHAR - the label with the largest absolute score, an aid to reading
-- column: label_score DOUBLE - that score; > 0 where it has more than the others
-- column: label_share DOUBLE - share of that label's samples that are in the cell, in [0, 1]
SELECT
    result,
    layer,
    cell_x,
    cell_y,
    n,
    is_tested,
    statistic,
    p,
    q,
    p_fwe,
    label,
    label_score,
    label_share
FROM label_contrasts
ORDER BY result, layer, cell_x, cell_y;
