-- What a scan holds: samples by label and in all, how long they are, how many were left out and why.
-- source: none in LLM-MRI, where truncation and exclusion are silent
-- column: label VARCHAR - the label; NULL with is_total false: samples without a label
-- column: is_total BOOLEAN - true for the row over all labels
-- column: n BIGINT - samples
-- column: n_ok BIGINT - samples with an activation
-- column: n_empty BIGINT - texts without a visible character or token
-- column: n_null BIGINT - null texts and null labels
-- column: n_not_finite BIGINT - the model returned NaN or infinity
-- column: n_truncated BIGINT - texts cut at the scan's max_tokens
-- column: n_duplicate_texts BIGINT - samples whose text, character by character, occurs earlier in the scan
-- column: min_tokens INTEGER - fewest tokens of a sample
-- column: mean_tokens DOUBLE - mean tokens of a sample
-- column: max_tokens INTEGER - most tokens of a sample
WITH numbered AS (
    SELECT
        *,
        row_number() OVER (PARTITION BY text ORDER BY sample_id) AS occurrence
    FROM samples
)

SELECT
    label,
    grouping(label) = 1 AS is_total,
    count(*) AS n,
    count(*) FILTER (WHERE status = 'ok') AS n_ok,
    count(*) FILTER (WHERE status = 'empty') AS n_empty,
    count(*) FILTER (WHERE status IN ('null_text', 'null_label')) AS n_null,
    count(*) FILTER (WHERE status = 'not_finite') AS n_not_finite,
    count(*) FILTER (WHERE truncated) AS n_truncated,
    count(*) FILTER (WHERE text IS NOT NULL AND occurrence > 1) AS n_duplicate_texts,
    min(n_tokens) AS min_tokens,
    avg(n_tokens) AS mean_tokens,
    max(n_tokens) AS max_tokens
FROM numbered
GROUP BY GROUPING SETS ((label), ())
ORDER BY is_total, label NULLS LAST;
