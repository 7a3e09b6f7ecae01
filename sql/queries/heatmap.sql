-- How many samples lie in each cell of one layer's grid: a dense map, empty cells included.
-- source: LLM-MRI's get_grid (a pandas crosstab, which drops empty rows and columns; here none is dropped)
-- param: layer INTEGER - the layer, 0 = embedding output
-- param: label VARCHAR = NULL - count only this label's samples; all samples by default
-- column: layer INTEGER - the layer
-- column: label VARCHAR - the label; NULL for all samples
-- column: cell_x INTEGER - 0-based cell along component 1
-- column: cell_y INTEGER - 0-based cell along component 2
-- column: n BIGINT - samples in the cell
-- column: share DOUBLE - n / all samples counted in this map, in [0, 1]; NULL when there is none
WITH chosen AS (
    SELECT
        cell_x,
        cell_y
    FROM points
    WHERE
        layer = CAST($layer AS INTEGER)
        AND ($label IS NULL OR label = CAST($label AS VARCHAR))
        AND cell_x IS NOT NULL
),

counted AS (
    SELECT
        cell_x,
        cell_y,
        count(*) AS n
    FROM chosen
    GROUP BY cell_x, cell_y
),

axis AS (
    SELECT CAST(unnest(range(grid)) AS INTEGER) AS cell
    FROM layers
    WHERE layer = CAST($layer AS INTEGER)
)

SELECT
    CAST($layer AS INTEGER) AS layer,
    CAST($label AS VARCHAR) AS label,
    x.cell AS cell_x,
    y.cell AS cell_y,
    coalesce(counted.n, 0) AS n,
    coalesce(counted.n, 0) / nullif((SELECT count(*) FROM chosen), 0) AS share
FROM axis AS x
CROSS JOIN axis AS y
LEFT JOIN counted
    ON counted.cell_x = x.cell AND counted.cell_y = y.cell
ORDER BY cell_y, cell_x;
