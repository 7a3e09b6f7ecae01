-- Whether metrics of the graphs of two labels differ: every metric of every comparison that was kept.
-- source: metrics as docs/metrics.md defines them; llm_mri_store/analysis/graph_comparison.py
-- column: result VARCHAR - name of the test
-- column: a VARCHAR - side A: a label, or several joined by +
-- column: b VARCHAR - side B, or rest: all other labels
-- column: metric VARCHAR - name of the metric
-- column: value_a DOUBLE - that of A's graph
-- column: value_a_low DOUBLE - lower end of its 95 % interval
-- column: value_a_high DOUBLE - upper end of its 95 % interval
-- column: value_b DOUBLE - that of B's graph
-- column: value_b_low DOUBLE - lower end of its 95 % interval
-- column: value_b_high DOUBLE - upper end of its 95 % interval
-- column: difference DOUBLE - value_a - value_b
-- column: difference_low DOUBLE - lower end of its 95 % interval
-- column: difference_high DOUBLE - upper end of its 95 % interval
-- column: by_chance DOUBLE - mean difference over relabelings; not 0 where a side has more samples
-- column: by_chance_low DOUBLE - 2.5 % point over relabelings
-- column: by_chance_high DOUBLE - 97.5 % point
-- column: rarefied_a DOUBLE - value_a of n_rarefied samples, mean of 100 draws
-- column: rarefied_b DOUBLE - value_b of as many
-- column: p DOUBLE - two-sided p by itself, counted over the relabelings
-- column: p_fwe DOUBLE - family-wise p, over all metrics
-- column: n_rarefied BIGINT - samples of each side in rarefied numbers
SELECT
    result,
    a,
    b,
    metric,
    value_a,
    value_a_low,
    value_a_high,
    value_b,
    value_b_low,
    value_b_high,
    difference,
    difference_low,
    difference_high,
    by_chance,
    by_chance_low,
    by_chance_high,
    rarefied_a,
    rarefied_b,
    p,
    p_fwe,
    n_rarefied
FROM graph_metric_tests
ORDER BY result, metric;
