-- Which pairs of labels differ, of every contrast of labels that was kept.
-- source: p over pairs by Holm 1979; llm_mri_store/analysis/contrast_pairs.py
-- column: result VARCHAR - name of the test
-- column: a VARCHAR - one label
-- column: b VARCHAR - the other
-- column: n_a BIGINT - its samples
-- column: n_b BIGINT - its samples
-- column: p DOUBLE - family-wise p of the pair's largest score; NULL where it could not be tested
-- column: p_holm DOUBLE - p adjusted over the pairs
-- column: n_cells BIGINT - cells that differ, adjusted over cells and pairs
-- column: layer INTEGER - layer of the largest score
-- column: cell_x INTEGER - its cell along component 1
-- column: cell_y INTEGER - its cell along component 2
-- column: z DOUBLE - its z; > 0 where a has more
-- column: difference DOUBLE - its difference of shares
-- column: remark VARCHAR - why a pair was not tested
SELECT
    result,
    a,
    b,
    n_a,
    n_b,
    p,
    p_holm,
    n_cells,
    layer,
    cell_x,
    cell_y,
    z,
    difference,
    remark
FROM label_pairs
ORDER BY result, a, b;
