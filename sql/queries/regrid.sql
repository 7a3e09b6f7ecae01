-- One layer's heatmap on a grid of another size, cut anew from the stored points: equal widths over their range.
-- source: bins as pandas.cut makes them: right-closed, lowest value included
-- param: layer INTEGER - the layer
-- param: grid INTEGER 1..1000 - cells per axis
-- param: label VARCHAR = NULL - count only this label's samples; all by default (the bins are those of all)
-- column: layer INTEGER - the layer
-- column: label VARCHAR - the label; NULL for all samples
-- column: cell_x INTEGER - 0-based cell along component 1
-- column: cell_y INTEGER - 0-based cell along component 2
-- column: n BIGINT - samples in the cell
-- column: share DOUBLE - n / all samples counted in this map, in [0, 1]; NULL when there is none
WITH placed AS (
    SELECT
        label,
        CAST(coordinates[1] AS DOUBLE) AS x,
        CAST(coordinates[2] AS DOUBLE) AS y
    FROM points
    WHERE layer = CAST($layer AS INTEGER) AND coordinates IS NOT NULL AND len(coordinates) = 2
),

bounds AS (
    SELECT
        min(x) AS min_x,
        max(x) AS max_x,
        min(y) AS min_y,
        max(y) AS max_y
    FROM placed
),

cells AS (
    SELECT
        placed.label,
        -- An axis without extent falls into the middle bin, as in the stored grid.
        CASE
            WHEN max_x = min_x THEN CAST(floor((CAST($grid AS INTEGER) - 1) / 2) AS INTEGER)
            ELSE CAST(len(list_filter(
                range(1, CAST($grid AS INTEGER)),
                lambda bin: min_x + bin * ((max_x - min_x) / CAST($grid AS INTEGER)) < x
            )) AS INTEGER)
        END AS cell_x,
        CASE
            WHEN max_y = min_y THEN CAST(floor((CAST($grid AS INTEGER) - 1) / 2) AS INTEGER)
            ELSE CAST(len(list_filter(
                range(1, CAST($grid AS INTEGER)),
                lambda bin: min_y + bin * ((max_y - min_y) / CAST($grid AS INTEGER)) < y
            )) AS INTEGER)
        END AS cell_y
    FROM placed
    CROSS JOIN bounds
),

counted AS (
    SELECT
        cell_x,
        cell_y,
        count(*) AS n
    FROM cells
    WHERE $label IS NULL OR label = CAST($label AS VARCHAR)
    GROUP BY cell_x, cell_y
),

axis AS (
    SELECT CAST(unnest(range(CAST($grid AS INTEGER))) AS INTEGER) AS cell
)

SELECT
    CAST($layer AS INTEGER) AS layer,
    CAST($label AS VARCHAR) AS label,
    x.cell AS cell_x,
    y.cell AS cell_y,
    coalesce(counted.n, 0) AS n,
    coalesce(counted.n, 0) / nullif((SELECT sum(n) FROM counted), 0) AS share
FROM axis AS x
CROSS JOIN axis AS y
LEFT JOIN counted
    ON counted.cell_x = x.cell AND counted.cell_y = y.cell
ORDER BY cell_y, cell_x;
