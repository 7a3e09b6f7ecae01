-- The small tables a connection fills from the store's JSON records, before sql/views.sql is run.
-- A damaged scan has its name and the status damaged; a damaged reduction or result its names alone.

CREATE TABLE stored_scans (
    scan VARCHAR,
    status VARCHAR,
    n_samples BIGINT,
    n_stored BIGINT,
    model VARCHAR,
    revision VARCHAR,
    random_weights BIGINT,
    corpus VARCHAR,
    split VARCHAR,
    labels VARCHAR[],
    site VARCHAR,
    pooling VARCHAR,
    layers INTEGER[],
    hidden_size INTEGER,
    max_tokens INTEGER,
    dtype VARCHAR,
    created TIMESTAMP,
    identity VARCHAR
);

CREATE TABLE stored_reductions (
    scan VARCHAR,
    reduction VARCHAR,
    method VARCHAR,
    n_components INTEGER,
    grid INTEGER,
    bins VARCHAR,
    seed BIGINT,
    template VARCHAR,
    layers INTEGER[],
    degenerate_layers INTEGER[],
    is_current BOOLEAN,
    created TIMESTAMP
);

CREATE TABLE stored_results (
    scan VARCHAR,
    result VARCHAR,
    kind VARCHAR,
    reduction VARCHAR,
    parameters VARCHAR,
    seed BIGINT,
    created TIMESTAMP
);

CREATE TABLE stored_layers (
    scan VARCHAR,
    reduction VARCHAR,
    layer INTEGER,
    next_layer INTEGER,
    grid INTEGER,
    is_degenerate BOOLEAN,
    n_fitted BIGINT,
    n_excluded BIGINT,
    n_clipped BIGINT,
    relative_spread DOUBLE,
    total_variance DOUBLE,
    explained_variance DOUBLE[],
    explained_variance_ratio DOUBLE[],
    edges_x DOUBLE[],
    edges_y DOUBLE[]
);
