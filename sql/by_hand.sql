-- Opens one scan and reduction of a store in a plain DuckDB shell, without this package:
--
--   SET VARIABLE store = 'llm-mri-store';
--   SET VARIABLE scan = 'news';
--   SET VARIABLE reduction = 'pca-2';
--   .read sql/by_hand.sql
--   .read sql/views.sql
--
-- Then run any file of sql/queries, giving its parameters: SET VARIABLE does not reach $name, so
-- wrap it as PREPARE q AS <the file>; EXECUTE q(layer := 6, label := NULL).
-- Digests are not checked here: 'llm-mri verify' does that.

CREATE VIEW stored_scans AS
SELECT
    regexp_extract(filename, 'scans/([^/]+)/scan\.json$', 1) AS scan,
    spec.*,
    CAST(created AS TIMESTAMP) AS created,
    identity
FROM read_json(getvariable('store') || '/scans/*/scan.json', filename = true);

CREATE VIEW stored_reductions AS
SELECT
    regexp_extract(filename, 'scans/([^/]+)/reductions/', 1) AS scan,
    regexp_extract(filename, 'reductions/([^/]+)/reduction\.json$', 1) AS reduction,
    spec.*,
    list_transform(layers, lambda one: one.layer) AS layers,
    CAST(created AS TIMESTAMP) AS created
FROM read_json(getvariable('store') || '/scans/*/reductions/*/reduction.json', filename = true);

CREATE VIEW stored_samples AS
SELECT *
FROM read_parquet(
    getvariable('store') || '/scans/' || getvariable('scan') || '/chunks/*/samples.parquet',
    hive_partitioning = false
);

CREATE VIEW stored_activations AS
WITH long AS (
    UNPIVOT (
        SELECT *
        FROM read_parquet(
            getvariable('store') || '/scans/' || getvariable('scan') || '/chunks/*/activations.parquet',
            hive_partitioning = false
        )
    )
    ON COLUMNS('^layer_[0-9]+$')
    INTO NAME layer_name VALUE vector
)
SELECT
    CAST(substr(layer_name, 7) AS INTEGER) AS layer,
    sample_id,
    vector
FROM long;

CREATE VIEW stored_points AS
SELECT *
FROM read_parquet(
    getvariable('store') || '/scans/' || getvariable('scan') || '/reductions/'
    || getvariable('reduction') || '/points/*.parquet',
    hive_partitioning = false
);

CREATE VIEW chosen_layers AS
WITH found AS (
    SELECT
        spec.grid AS grid,
        unnest(layers) AS one
    FROM read_json(
        getvariable('store') || '/scans/' || getvariable('scan') || '/reductions/'
        || getvariable('reduction') || '/reduction.json'
    )
)
SELECT
    getvariable('scan') AS scan,
    getvariable('reduction') AS reduction,
    CAST(one.layer AS INTEGER) AS layer,
    CAST(lead(one.layer) OVER (ORDER BY one.layer) AS INTEGER) AS next_layer,
    CAST(grid AS INTEGER) AS grid,
    one.is_degenerate,
    one.n_fitted,
    one.n_excluded,
    one.n_clipped,
    one.relative_spread,
    one.total_variance,
    one.explained_variance,
    one.explained_variance_ratio,
    one.edges_x,
    one.edges_y
FROM found;
