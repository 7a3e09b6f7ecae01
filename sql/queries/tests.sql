-- Every test that was kept: what it exchanged, how often, and what it came to in sentences.
-- source: p over all relabelings by Westfall & Young 1993; (b + 1) / (m + 1) by Phipson & Smyth 2010
-- column: result VARCHAR - name of the test
-- column: kind VARCHAR - contrast, label_contrast, edge_test, information or comparison
-- column: a VARCHAR - side A, or the one label; NULL for several labels or all samples
-- column: b VARCHAR - side B; NULL where there is none
-- column: labels VARCHAR[] - the labels that took part
-- column: n_samples BIGINT - samples that took part
-- column: n_a BIGINT - samples of A
-- column: n_b BIGINT - samples of B
-- column: n_tested BIGINT - cells, edges, layers or distances tested: the family
-- column: n_found BIGINT - those with a family-wise p of at most 0.05
-- column: p DOUBLE - smallest family-wise p: that of no difference anywhere
-- column: alternative VARCHAR - two-sided, greater or less
-- column: strata VARCHAR[] - covariates held constant
-- column: groups VARCHAR - covariate whose groups move together
-- column: n_permutations BIGINT - relabelings looked at
-- column: n_relabelings BIGINT - different relabelings there are; NULL beyond 10 ** 15
-- column: is_exact BOOLEAN - all there are were looked at
-- column: smallest_p DOUBLE - smallest family-wise p that could be had
-- column: p_method VARCHAR - of p by itself: exact over all relabelings, or counted over those looked at
-- column: n_units BIGINT - samples and whole groups whose labels were exchanged
-- column: n_whole_groups BIGINT - groups moved as a whole
-- column: n_split_groups BIGINT - groups exchanged within
-- column: n_strata BIGINT - strata within which labels were exchanged
-- column: n_strata_left_out BIGINT - strata left out for want of a second label
-- column: n_samples_left_out BIGINT - samples in those strata
-- column: seed BIGINT - of the relabelings
-- column: twin VARCHAR - scan/reduction of random weights that stood beside it
-- column: sentences VARCHAR[] - what was done and found
SELECT
    result,
    kind,
    a,
    b,
    labels,
    n_samples,
    n_a,
    n_b,
    n_tested,
    n_found,
    p,
    alternative,
    strata,
    groups,
    n_permutations,
    n_relabelings,
    is_exact,
    smallest_p,
    p_method,
    n_units,
    n_whole_groups,
    n_split_groups,
    n_strata,
    n_strata_left_out,
    n_samples_left_out,
    seed,
    twin,
    sentences
FROM tests
ORDER BY kind, result;
