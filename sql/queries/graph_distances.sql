-- How far the graphs of two labels are apart, beyond chance: every distance of every comparison that was kept.
-- source: Ruzicka 1958, Lin 1991, Bagrow & Bollt 2019, Gu, Hua & Liu 2015; llm_mri_store/analysis/graph_distances.py
-- column: result VARCHAR - name of the test
-- column: a VARCHAR - side A: a label, or several joined by +
-- column: b VARCHAR - side B, or rest: all other labels
-- column: distance VARCHAR - jaccard, jensen_shannon, portrait or spectral
-- column: value DOUBLE - the distance, in [0, 1]
-- column: value_low DOUBLE - lower end of its 95 % interval
-- column: value_high DOUBLE - upper end of its 95 % interval
-- column: by_chance DOUBLE - mean over relabelings
-- column: by_chance_low DOUBLE - 2.5 % point over relabelings
-- column: by_chance_high DOUBLE - 97.5 % point
-- column: excess DOUBLE - value - by_chance; too small where labels differ much
-- column: rarefied DOUBLE - value of n_rarefied samples of each side, mean of 100 draws
-- column: p DOUBLE - p by itself, counted over the relabelings
-- column: p_fwe DOUBLE - family-wise p, over all distances
-- column: n_rarefied BIGINT - samples of each side in rarefied numbers
SELECT
    result,
    a,
    b,
    distance,
    value,
    value_low,
    value_high,
    by_chance,
    by_chance_low,
    by_chance_high,
    excess,
    rarefied,
    p,
    p_fwe,
    n_rarefied
FROM graph_distances
ORDER BY result, distance;
