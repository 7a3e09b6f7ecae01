-- What to know of each layer before reading its map: excluded and clipped samples, degeneracy, spread over cells.
-- source: entropy by Shannon 1948; explained variance by the reduction's own diagnostics
-- column: layer INTEGER - the layer
-- column: n_points BIGINT - samples with a cell
-- column: n_excluded BIGINT - samples without one (status is not ok)
-- column: n_clipped BIGINT - points outside the grid's fitted range, put into its outermost cells
-- column: is_degenerate BOOLEAN - activations do not vary beyond rounding: one cell, no edges
-- column: relative_spread DOUBLE - largest standard deviation of a feature over the activations' size
-- column: explained DOUBLE - share of the variance that the stored components keep, in [0, 1]; NULL for UMAP
-- column: n_cells_used BIGINT - cells that hold a sample
-- column: n_cells BIGINT - cells of the grid
-- column: largest_share DOUBLE - share of the samples in the fullest cell, in (0, 1]
-- column: evenness DOUBLE - entropy of the cells over its maximum, in [0, 1]; 1 = samples spread evenly
WITH counted AS (
    SELECT
        layer,
        cell_x,
        cell_y,
        CAST(count(*) AS DOUBLE) AS n
    FROM points
    WHERE cell_x IS NOT NULL
    GROUP BY layer, cell_x, cell_y
),

totalled AS (
    SELECT
        *,
        sum(n) OVER (PARTITION BY layer) AS n_layer
    FROM counted
),

summed AS (
    SELECT
        layer,
        CAST(max(n_layer) AS BIGINT) AS n_points,
        count(*) AS n_cells_used,
        max(n / n_layer) AS largest_share,
        -- In a fixed order, so that the same question gives the same bits each time.
        -sum(n / n_layer * log2(n / n_layer) ORDER BY cell_x, cell_y) AS entropy
    FROM totalled
    GROUP BY layer
)

SELECT
    layers.layer,
    coalesce(summed.n_points, 0) AS n_points,
    layers.n_excluded,
    layers.n_clipped,
    layers.is_degenerate,
    layers.relative_spread,
    list_sum(layers.explained_variance_ratio) AS explained,
    coalesce(summed.n_cells_used, 0) AS n_cells_used,
    CAST(layers.grid * layers.grid AS BIGINT) AS n_cells,
    summed.largest_share,
    abs(summed.entropy) / log2(nullif(least(layers.grid * layers.grid, summed.n_points), 1)) AS evenness
FROM layers
LEFT JOIN summed
    ON layers.layer = summed.layer
ORDER BY layers.layer;
