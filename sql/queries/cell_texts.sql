-- The texts behind the cells of a layer: a few of each, or all of one cell.
-- source: none in LLM-MRI; the texts are what a region means
-- param: layer INTEGER - the layer
-- param: cell_x INTEGER = NULL - only this cell (with cell_y); every cell by default
-- param: cell_y INTEGER = NULL - only this cell (with cell_x); every cell by default
-- param: label VARCHAR = NULL - only this label's samples; all by default
-- param: limit INTEGER 1.. = 3 - texts per cell
-- param: offset INTEGER 0.. = 0 - texts of each cell to pass over first
-- column: layer INTEGER - the layer
-- column: cell_x INTEGER - 0-based cell along component 1
-- column: cell_y INTEGER - 0-based cell along component 2
-- column: sample_id BIGINT - the sample
-- column: label VARCHAR - its label
-- column: text VARCHAR - its text
-- column: n_cell BIGINT - texts of the cell in all, of the label where one is given
WITH ranked AS (
    SELECT
        layer,
        cell_x,
        cell_y,
        sample_id,
        row_number() OVER (PARTITION BY cell_x, cell_y ORDER BY sample_id) AS place,
        count(*) OVER (PARTITION BY cell_x, cell_y) AS n_cell
    FROM points
    WHERE
        layer = CAST($layer AS INTEGER)
        AND cell_x IS NOT NULL
        AND ($cell_x IS NULL OR cell_x = CAST($cell_x AS INTEGER))
        AND ($cell_y IS NULL OR cell_y = CAST($cell_y AS INTEGER))
        AND ($label IS NULL OR label = CAST($label AS VARCHAR))
)

SELECT
    ranked.layer,
    ranked.cell_x,
    ranked.cell_y,
    ranked.sample_id,
    samples.label,
    samples.text,
    ranked.n_cell
FROM ranked
INNER JOIN samples
    ON ranked.sample_id = samples.sample_id
WHERE
    ranked.place > CAST($offset AS BIGINT)
    AND ranked.place <= CAST($offset AS BIGINT) + CAST($limit AS BIGINT)
ORDER BY ranked.cell_x, ranked.cell_y, ranked.sample_id;
