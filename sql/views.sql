-- The views every SQL user sees. Below them lie the stored_* tables: those of sql/tables.sql, and
-- stored_samples, stored_activations and stored_points over the Parquet files of the chosen scan
-- and reduction. A connection makes them (sql/by_hand.sql does the same in a plain DuckDB shell).
-- Tables of results, such as layer_quality, are seen as they lie in their Parquet files.

CREATE VIEW scans AS
SELECT *
FROM stored_scans
ORDER BY scan;

CREATE VIEW reductions AS
SELECT *
FROM stored_reductions
ORDER BY scan, reduction;

CREATE VIEW results AS
SELECT * EXCLUDE (scan)
FROM chosen_results
ORDER BY kind, result;

CREATE VIEW samples AS
SELECT *
FROM stored_samples;

-- The words of each text, in lower case: two characters or more, the first a letter.
CREATE VIEW terms AS
SELECT
    sample_id,
    term,
    count(*) AS n
FROM (
    SELECT
        sample_id,
        unnest(regexp_extract_all(lower(text), '\p{L}[\p{L}\p{N}''-]+')) AS term
    FROM stored_samples
)
GROUP BY sample_id, term;

CREATE VIEW activations AS
SELECT
    layer,
    sample_id,
    vector
FROM stored_activations;

CREATE VIEW layers AS
SELECT * EXCLUDE (scan, reduction)
FROM chosen_layers
ORDER BY layer;

CREATE VIEW points AS
SELECT
    CAST(stored_points.layer AS INTEGER) AS layer,
    stored_points.sample_id,
    samples.label,
    stored_points.coordinates,
    CAST(stored_points.cell_x AS INTEGER) AS cell_x,
    CAST(stored_points.cell_y AS INTEGER) AS cell_y,
    samples.* EXCLUDE (sample_id, text, label)
FROM stored_points
INNER JOIN stored_samples AS samples
    ON stored_points.sample_id = samples.sample_id;
