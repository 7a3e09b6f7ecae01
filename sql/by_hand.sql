-- Opens one scan and reduction of a store in a plain DuckDB shell, without this package:
--
--   SET VARIABLE store = 'llm-mri-store';
--   SET VARIABLE scan = 'news';
--   SET VARIABLE reduction = 'pca-2';
--   .read sql/by_hand.sql
--   .read sql/views.sql
--
-- Then run any file of sql/queries, giving every parameter its value: PREPARE q AS <the file>, and
-- EXECUTE q(layer := 6, label := NULL); a parameter called limit is written "limit" := 10. Only
-- neighbours wants more: vectors are lists here, and it needs them as CAST(vector AS FLOAT[384]),
-- with the scan's hidden_size. Digests are not checked here: 'llm-mri verify' does that.
--
-- A table of results is its Parquet files, in the scan's folder or, made from a reduction, in that one's:
--
--   CREATE VIEW layer_quality AS
--   FROM read_parquet('llm-mri-store/scans/news/results/layer_quality/*/layer_quality.parquet');

CREATE VIEW stored_scans AS
WITH records AS (
    SELECT
        regexp_extract(filename, 'scans/([^/]+)/scan\.json$', 1) AS scan,
        spec,
        created,
        identity
    FROM read_json(
        getvariable('store') || '/scans/*/scan.json',
        filename = true,
        columns = {
            spec: 'STRUCT(
                model VARCHAR, revision VARCHAR, random_weights BIGINT, corpus VARCHAR, split VARCHAR,
                labels VARCHAR[], n_samples BIGINT, site VARCHAR, pooling VARCHAR, layers INTEGER[],
                hidden_size INTEGER, max_tokens INTEGER, dtype VARCHAR
            )',
            created: 'TIMESTAMP',
            identity: 'VARCHAR'
        }
    )
),

chunks AS (
    SELECT
        regexp_extract(filename, 'scans/([^/]+)/chunks/', 1) AS scan,
        CAST(sum(n_samples) AS BIGINT) AS n_stored
    FROM read_json(
        getvariable('store') || '/scans/*/chunks/*/chunk.json',
        filename = true,
        columns = {n_samples: 'BIGINT'}
    )
    GROUP BY ALL
)

SELECT
    records.scan,
    CASE WHEN chunks.n_stored = spec.n_samples THEN 'complete' ELSE 'partial' END AS status,
    spec.n_samples,
    coalesce(chunks.n_stored, 0) AS n_stored,
    spec.model,
    spec.revision,
    spec.random_weights,
    spec.corpus,
    spec.split,
    spec.labels,
    spec.site,
    spec.pooling,
    spec.layers,
    spec.hidden_size,
    spec.max_tokens,
    spec.dtype,
    records.created,
    records.identity
FROM records
LEFT JOIN chunks
    ON records.scan = chunks.scan;

CREATE VIEW all_layers AS
SELECT
    regexp_extract(filename, 'scans/([^/]+)/reductions/', 1) AS scan,
    regexp_extract(filename, 'reductions/([^/]+)/reduction\.json$', 1) AS reduction,
    spec,
    layers,
    created
FROM read_json(
    getvariable('store') || '/scans/*/reductions/*/reduction.json',
    filename = true,
    columns = {
        spec: 'STRUCT(
            method VARCHAR, n_components INTEGER, grid INTEGER, bins VARCHAR, seed BIGINT, template VARCHAR
        )',
        layers: 'STRUCT(
            layer INTEGER, is_degenerate BOOLEAN, n_fitted BIGINT, n_excluded BIGINT, n_clipped BIGINT,
            relative_spread DOUBLE, total_variance DOUBLE, explained_variance DOUBLE[],
            explained_variance_ratio DOUBLE[], edges_x DOUBLE[], edges_y DOUBLE[]
        )[]',
        created: 'TIMESTAMP'
    }
);

-- Without is_current: whether a scan still holds what was reduced is for 'llm-mri verify' to say.
CREATE VIEW stored_reductions AS
SELECT
    scan,
    reduction,
    spec.method,
    spec.n_components,
    spec.grid,
    spec.bins,
    spec.seed,
    spec.template,
    list_transform(layers, lambda one: one.layer) AS layers,
    list_transform(
        list_filter(layers, lambda one: one.is_degenerate),
        lambda one: one.layer
    ) AS degenerate_layers,
    created
FROM all_layers;

CREATE VIEW chosen_layers AS
WITH chosen AS (
    SELECT
        scan,
        reduction,
        spec.grid,
        unnest(layers) AS one
    FROM all_layers
    WHERE scan = getvariable('scan') AND reduction = getvariable('reduction')
)

SELECT
    scan,
    reduction,
    one.layer,
    lead(one.layer) OVER (ORDER BY one.layer) AS next_layer,
    grid,
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
FROM chosen;

-- Of the chosen scan and reduction. Whether a result is still of what is there is for 'llm-mri verify' to say.
CREATE VIEW chosen_results AS
WITH records AS (
    SELECT
        regexp_extract(
            filename,
            'scans/([^/]+)/(?:reductions/([^/]+)/)?results/([^/]+)/([^/]+)/result\.json$',
            ['scan', 'reduction', 'kind', 'result']
        ) AS place,
        spec,
        created
    -- A pattern that files other than results fit, because one without any would be an error.
    FROM read_json(
        getvariable('store') || '/scans/' || getvariable('scan') || '/**/*.json',
        filename = true,
        columns = {
            spec: 'STRUCT(parameters JSON, seed BIGINT)',
            created: 'TIMESTAMP'
        }
    )
)

SELECT
    place.scan,
    place.result,
    place.kind,
    nullif(place.reduction, '') AS reduction,
    CAST(spec.parameters AS VARCHAR) AS parameters,
    spec.seed,
    created
FROM records
WHERE
    place.scan = getvariable('scan')
    AND place.reduction IN ('', getvariable('reduction'));

CREATE VIEW stored_samples AS
SELECT *
FROM read_parquet(
    getvariable('store') || '/scans/' || getvariable('scan') || '/chunks/*/samples.parquet',
    hive_partitioning = false
);

CREATE VIEW stored_activations AS
SELECT
    CAST(substr(layer_name, 7) AS INTEGER) AS layer,
    sample_id,
    vector
FROM read_parquet(
    getvariable('store') || '/scans/' || getvariable('scan') || '/chunks/*/activations.parquet',
    hive_partitioning = false
)
UNPIVOT INCLUDE NULLS (vector FOR layer_name IN (COLUMNS('^layer_[0-9]+$')));

CREATE VIEW stored_points AS
SELECT *
FROM read_parquet(
    getvariable('store') || '/scans/' || getvariable('scan') || '/reductions/'
    || getvariable('reduction') || '/points/*.parquet',
    hive_partitioning = false
);
