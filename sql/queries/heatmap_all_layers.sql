-- The heatmaps of every layer and label at once, dense: what a small-multiples chart draws.
-- source: LLM-MRI's get_grid, for all layers and labels
-- param: labels VARCHAR[] = NULL - keep these labels; all by default
-- column: layer INTEGER - the layer
-- column: label VARCHAR - the label
-- column: cell_x INTEGER - 0-based cell along component 1
-- column: cell_y INTEGER - 0-based cell along component 2
-- column: n BIGINT - samples of the label in the cell
-- column: share DOUBLE - n / the label's samples, in [0, 1]
WITH counted AS (
    SELECT
        layer,
        label,
        cell_x,
        cell_y,
        count(*) AS n
    FROM points
    WHERE
        cell_x IS NOT NULL
        AND ($labels IS NULL OR list_contains(CAST($labels AS VARCHAR[]), label))
    GROUP BY layer, label, cell_x, cell_y
),

totals AS (
    SELECT
        layer,
        label,
        sum(n) AS n_label
    FROM counted
    GROUP BY layer, label
),

axis AS (
    SELECT
        layer,
        CAST(unnest(range(grid)) AS INTEGER) AS cell
    FROM layers
)

SELECT
    totals.layer,
    totals.label,
    x.cell AS cell_x,
    y.cell AS cell_y,
    coalesce(counted.n, 0) AS n,
    coalesce(counted.n, 0) / CAST(totals.n_label AS DOUBLE) AS share
FROM totals
INNER JOIN axis AS x
    ON totals.layer = x.layer
INNER JOIN axis AS y
    ON totals.layer = y.layer
LEFT JOIN counted
    ON
        counted.layer = totals.layer
        AND counted.label = totals.label
        AND counted.cell_x = x.cell
        AND counted.cell_y = y.cell
ORDER BY totals.layer, totals.label, cell_y, cell_x;
