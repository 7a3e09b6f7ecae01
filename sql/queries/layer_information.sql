-- How much a sample's cell tells of its label, layer by layer: mutual information in bits.
-- source: Shannon 1948; bias by Miller 1955 (Miller-Madow): (pairs - cells - labels + 1) / (2 n ln 2),
-- with pairs the combinations of label and cell that are seen
-- column: layer INTEGER - the layer
-- column: n BIGINT - samples with a label and a cell
-- column: n_labels BIGINT - labels seen
-- column: n_cells BIGINT - occupied cells
-- column: label_entropy DOUBLE - H(label) in bits: what there is to tell
-- column: information DOUBLE - I(label; cell) in bits, plug-in; biased upwards where samples are few
-- column: bias DOUBLE - its Miller-Madow bias in bits
-- column: information_corrected DOUBLE - information - bias, in bits; about 0 when the cell tells nothing
-- column: share_of_entropy DOUBLE - information_corrected / label_entropy; NULL when there is one label
WITH counted AS (
    SELECT
        layer,
        label,
        cell_x,
        cell_y,
        CAST(count(*) AS DOUBLE) AS n
    FROM points
    WHERE cell_x IS NOT NULL AND label IS NOT NULL
    GROUP BY layer, label, cell_x, cell_y
),

totalled AS (
    SELECT
        *,
        sum(n) OVER (PARTITION BY layer) AS n_layer,
        sum(n) OVER (PARTITION BY layer, label) AS n_label,
        sum(n) OVER (PARTITION BY layer, cell_x, cell_y) AS n_cell
    FROM counted
),

summed AS (
    SELECT
        layer,
        max(n_layer) AS n,
        count(DISTINCT label) AS n_labels,
        count(DISTINCT (cell_x, cell_y)) AS n_cells,
        count(*) AS n_pairs,
        -- In a fixed order, so that the same question gives the same bits each time.
        -sum(n / n_layer * log2(n_label / n_layer) ORDER BY label, cell_x, cell_y) AS label_entropy,
        sum(n / n_layer * log2(n * n_layer / (n_label * n_cell)) ORDER BY label, cell_x, cell_y) AS information
    FROM totalled
    GROUP BY layer
),

corrected AS (
    SELECT
        *,
        (n_pairs - n_cells - n_labels + 1) / (2 * n * ln(2)) AS bias
    FROM summed
)

SELECT
    layer,
    CAST(n AS BIGINT) AS n,
    n_labels,
    n_cells,
    greatest(label_entropy, 0) AS label_entropy,
    greatest(information, 0) AS information,
    bias,
    information - bias AS information_corrected,
    CASE WHEN n_labels > 1 THEN (information - bias) / label_entropy END AS share_of_entropy
FROM corrected
ORDER BY layer;
