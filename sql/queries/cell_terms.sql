-- The words most typical of one cell against the layer's other cells (class-based TF-IDF, a cell as a class).
-- source: Grootendorst 2022 (arXiv 2203.05794), section 3.3: tf * log(1 + A / f), A = mean words per cell
-- param: layer INTEGER - the layer
-- param: cell_x INTEGER - the cell along component 1
-- param: cell_y INTEGER - the cell along component 2
-- param: limit INTEGER 1.. = 10 - words to show
-- column: term VARCHAR - the word, in lower case
-- column: n BIGINT - its occurrences in the cell
-- column: n_samples BIGINT - samples of the cell that hold it
-- column: n_layer BIGINT - its occurrences in all cells
-- column: score DOUBLE - share of the cell's words times log(1 + A / n_layer), >= 0
WITH words AS (
    SELECT
        points.cell_x,
        points.cell_y,
        points.sample_id,
        unnest(regexp_extract_all(lower(samples.text), '\p{L}[\p{L}\p{N}''-]+')) AS term
    FROM points
    INNER JOIN samples
        ON points.sample_id = samples.sample_id
    WHERE
        points.layer = CAST($layer AS INTEGER)
        AND points.cell_x IS NOT NULL
),

per_cell AS (
    SELECT
        cell_x,
        cell_y,
        term,
        count(*) AS n,
        count(DISTINCT sample_id) AS n_samples
    FROM words
    GROUP BY cell_x, cell_y, term
),

scored AS (
    SELECT
        *,
        CAST(sum(n) OVER (PARTITION BY term) AS BIGINT) AS n_layer,
        sum(n) OVER (PARTITION BY cell_x, cell_y) AS n_cell
    FROM per_cell
)

SELECT
    term,
    n,
    n_samples,
    n_layer,
    n / CAST(n_cell AS DOUBLE) * ln(
        1 + (
            SELECT sum(n) / CAST(count(DISTINCT (cell_x, cell_y)) AS DOUBLE)
            FROM per_cell
        ) / n_layer
    ) AS score
FROM scored
WHERE cell_x = CAST($cell_x AS INTEGER) AND cell_y = CAST($cell_y AS INTEGER)
ORDER BY score DESC, term
LIMIT CAST($limit AS INTEGER);
