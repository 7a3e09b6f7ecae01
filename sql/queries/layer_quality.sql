-- How good each layer's activations are: what was left out, whether they vary, how many dimensions they fill.
-- source: effective rank by Roy & Vetterli 2007 (EUSIPCO), of the covariance; anisotropy by Ethayarajh 2019 (EMNLP),
-- over all pairs; outlier dimensions by the 3 standard deviations of Kovaleva et al. 2021 (Findings of ACL)
-- column: layer INTEGER - the layer
-- column: n_ok BIGINT - samples with a finite activation and a label: what the row is about
-- column: n_not_finite BIGINT - samples left out because the model returned NaN or infinity
-- column: n_excluded BIGINT - samples left out for another reason: no text, no token, no label
-- column: n_distinct BIGINT - distinct activations, by their bytes
-- column: is_degenerate BOOLEAN - they do not vary beyond rounding; NULL with fewer than 2 samples
-- column: relative_spread DOUBLE - largest standard deviation of a dimension over the activations' size
-- column: total_variance DOUBLE - sum of the variances of the dimensions, divisor n - 1
-- column: effective_rank DOUBLE - dimensions that the covariance fills, from 1 to the width; NULL if degenerate
-- column: n_rank_samples BIGINT - samples it was computed from: n_ok up to a width of 1,024, else at most 2,048
-- column: anisotropy DOUBLE - mean cosine similarity of two different samples, in [-1, 1]; 1 = all point one way
-- column: mean_norm DOUBLE - mean Euclidean length
-- column: n_outlier_dimensions INTEGER - dimensions whose mean is 3 standard deviations off that over dimensions
-- column: top_dimension INTEGER - 0-based dimension of the largest variance; NULL if degenerate
-- column: top_dimension_share DOUBLE - its share of the total variance, in (0, 1]; NULL if degenerate
SELECT
    layer,
    n_ok,
    n_not_finite,
    n_excluded,
    n_distinct,
    is_degenerate,
    relative_spread,
    total_variance,
    effective_rank,
    n_rank_samples,
    anisotropy,
    mean_norm,
    n_outlier_dimensions,
    top_dimension,
    top_dimension_share
FROM layer_quality
ORDER BY layer;
