-- The words most typical of a layer's cells against its other cells (class-based TF-IDF, a cell as a class).
-- source: Grootendorst 2022 (arXiv 2203.05794), section 3.3: tf * log(1 + A / f), A = mean words per cell; with
-- reduce_frequent its root of tf (BERTopic's reduce_frequent_words), and first the words of several samples that
-- are twice as frequent in the cell as in the layer
-- param: layer INTEGER - the layer
-- param: cell_x INTEGER = NULL - only this cell (with cell_y); every cell by default
-- param: cell_y INTEGER = NULL - only this cell (with cell_x); every cell by default
-- param: limit INTEGER 1.. = 10 - words per cell
-- param: reduce_frequent BOOLEAN = false - rank so that a few samples' common words do not come first
-- column: layer INTEGER - the layer
-- column: cell_x INTEGER - 0-based cell along component 1
-- column: cell_y INTEGER - 0-based cell along component 2
-- column: rank BIGINT - 1 = most typical of the cell
-- column: term VARCHAR - the word, in lower case
-- column: n BIGINT - its occurrences in the cell
-- column: n_samples BIGINT - samples of the cell that hold it
-- column: n_layer BIGINT - its occurrences in all cells
-- column: score DOUBLE - share of the cell's words times log(1 + A / n_layer), >= 0
WITH placed AS (
    SELECT
        points.cell_x,
        points.cell_y,
        terms.term,
        terms.n
    FROM points
    INNER JOIN terms
        ON points.sample_id = terms.sample_id
    WHERE
        points.layer = CAST($layer AS INTEGER)
        AND points.cell_x IS NOT NULL
),

per_cell AS (
    SELECT
        cell_x,
        cell_y,
        term,
        CAST(sum(n) AS BIGINT) AS n,
        count(*) AS n_samples
    FROM placed
    WHERE
        ($cell_x IS NULL OR cell_x = CAST($cell_x AS INTEGER))
        AND ($cell_y IS NULL OR cell_y = CAST($cell_y AS INTEGER))
    GROUP BY cell_x, cell_y, term
),

per_term AS (
    SELECT
        term,
        CAST(sum(n) AS BIGINT) AS n_layer
    FROM placed
    GROUP BY term
),

sizes AS (
    SELECT
        cell_x,
        cell_y,
        CAST(sum(n) AS DOUBLE) AS n_cell
    FROM placed
    GROUP BY cell_x, cell_y
),

whole AS (
    SELECT
        sum(n_cell) AS n,
        count(*) AS n_cells
    FROM sizes
),

scored AS (
    SELECT
        per_cell.*,
        per_term.n_layer,
        per_cell.n / sizes.n_cell * ln(1 + whole.n / whole.n_cells / per_term.n_layer) AS score,
        per_cell.n_samples > 1 AND per_cell.n / sizes.n_cell >= 2 * per_term.n_layer / whole.n AS is_shared
    FROM per_cell
    CROSS JOIN whole
    INNER JOIN per_term
        ON per_cell.term = per_term.term
    INNER JOIN sizes
        ON per_cell.cell_x = sizes.cell_x AND per_cell.cell_y = sizes.cell_y
),

ranked AS (
    SELECT
        *,
        row_number() OVER (
            PARTITION BY cell_x, cell_y
            ORDER BY
                CASE WHEN CAST($reduce_frequent AS BOOLEAN) THEN is_shared END DESC,
                CASE WHEN CAST($reduce_frequent AS BOOLEAN) THEN score / sqrt(n) END DESC,
                score DESC,
                term
        ) AS rank
    FROM scored
)

SELECT
    CAST($layer AS INTEGER) AS layer,
    cell_x,
    cell_y,
    rank,
    term,
    n,
    n_samples,
    n_layer,
    score
FROM ranked
WHERE rank <= CAST($limit AS INTEGER)
ORDER BY cell_x, cell_y, rank;
