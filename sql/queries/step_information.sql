-- How much a sample's cell at the next layer tells of its label beyond its cell at this one, in bits.
-- source: conditional mutual information, Cover & Thomas 2006, section 2.5; bias by Miller 1955 (Miller-Madow):
-- (steps of labels + cells - cells of labels - steps) / (2 n ln 2), each the combinations that are seen
-- column: layer INTEGER - the layer
-- column: next_layer INTEGER - the next layer of the scan
-- column: n BIGINT - samples with a label and a cell in both layers
-- column: n_steps BIGINT - pairs of a cell and a cell of the next layer that samples step between
-- column: label_entropy DOUBLE - H(label) in bits: what there is to tell
-- column: information DOUBLE - I(label; next cell | cell) in bits, plug-in; biased upwards where samples are few
-- column: bias DOUBLE - its Miller-Madow bias in bits
-- column: information_corrected DOUBLE - information - bias, in bits; too large where steps hold few samples
-- column: share_of_entropy DOUBLE - information_corrected / label_entropy; NULL when there is one label
WITH counted AS (
    SELECT
        here.layer,
        layers.next_layer,
        here.label,
        here.cell_x AS from_x,
        here.cell_y AS from_y,
        there.cell_x AS to_x,
        there.cell_y AS to_y,
        CAST(count(*) AS DOUBLE) AS n
    FROM points AS here
    INNER JOIN layers
        ON here.layer = layers.layer
    INNER JOIN points AS there
        ON there.layer = layers.next_layer AND there.sample_id = here.sample_id
    WHERE here.label IS NOT NULL AND here.cell_x IS NOT NULL AND there.cell_x IS NOT NULL
    GROUP BY
        here.layer,
        layers.next_layer,
        here.label,
        here.cell_x,
        here.cell_y,
        there.cell_x,
        there.cell_y
),

totalled AS (
    SELECT
        *,
        sum(n) OVER (PARTITION BY layer) AS n_layer,
        sum(n) OVER (PARTITION BY layer, label) AS n_label,
        sum(n) OVER (PARTITION BY layer, from_x, from_y) AS n_cell,
        sum(n) OVER (PARTITION BY layer, label, from_x, from_y) AS n_label_cell,
        sum(n) OVER (PARTITION BY layer, from_x, from_y, to_x, to_y) AS n_step
    FROM counted
),

summed AS (
    SELECT
        layer,
        next_layer,
        max(n_layer) AS n,
        count(DISTINCT label) AS n_labels,
        count(*) AS n_label_steps,
        count(DISTINCT (from_x, from_y)) AS n_cells,
        count(DISTINCT (label, from_x, from_y)) AS n_label_cells,
        count(DISTINCT (from_x, from_y, to_x, to_y)) AS n_steps,
        -- In a fixed order, so that the same question gives the same bits each time.
        -sum(n / n_layer * log2(n_label / n_layer) ORDER BY label, from_x, from_y, to_x, to_y)
            AS label_entropy,
        sum(
            n / n_layer * log2(n * n_cell / (n_label_cell * n_step))
            ORDER BY label, from_x, from_y, to_x, to_y
        ) AS information
    FROM totalled
    GROUP BY layer, next_layer
),

corrected AS (
    SELECT
        *,
        (n_label_steps + n_cells - n_label_cells - n_steps) / (2 * n * ln(2)) AS bias
    FROM summed
)

SELECT
    layer,
    next_layer,
    CAST(n AS BIGINT) AS n,
    n_steps,
    greatest(label_entropy, 0) AS label_entropy,
    greatest(information, 0) AS information,
    bias,
    information - bias AS information_corrected,
    CASE WHEN n_labels > 1 THEN (information - bias) / label_entropy END AS share_of_entropy
FROM corrected
ORDER BY layer, next_layer;
