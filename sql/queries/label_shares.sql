-- Which labels hold each occupied cell: counts, the share of the cell and the share of the label.
-- source: none in LLM-MRI, which compares raw counts; shares make labels of unequal size comparable
-- param: layer INTEGER = NULL - only this layer; all by default
-- param: labels VARCHAR[] = NULL - keep these labels; all by default
-- column: layer INTEGER - the layer
-- column: cell_x INTEGER - 0-based cell along component 1
-- column: cell_y INTEGER - 0-based cell along component 2
-- column: label VARCHAR - the label
-- column: n BIGINT - samples of the label in the cell
-- column: n_cell BIGINT - samples of the kept labels in the cell
-- column: n_label BIGINT - samples of the label in the layer
-- column: share_of_cell DOUBLE - n / n_cell, in (0, 1]
-- column: share_of_label DOUBLE - n / n_label, in (0, 1]
WITH counted AS (
    SELECT
        layer,
        cell_x,
        cell_y,
        label,
        count(*) AS n
    FROM points
    WHERE
        cell_x IS NOT NULL
        AND ($layer IS NULL OR layer = CAST($layer AS INTEGER))
        AND ($labels IS NULL OR list_contains(CAST($labels AS VARCHAR[]), label))
    GROUP BY layer, cell_x, cell_y, label
),

totalled AS (
    SELECT
        *,
        CAST(sum(n) OVER (PARTITION BY layer, cell_x, cell_y) AS BIGINT) AS n_cell,
        CAST(sum(n) OVER (PARTITION BY layer, label) AS BIGINT) AS n_label
    FROM counted
)

SELECT
    layer,
    cell_x,
    cell_y,
    label,
    n,
    n_cell,
    n_label,
    n / CAST(n_cell AS DOUBLE) AS share_of_cell,
    n / CAST(n_label AS DOUBLE) AS share_of_label
FROM totalled
ORDER BY layer, cell_x, cell_y, label;
