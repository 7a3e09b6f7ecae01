-- Co-activation edges of every label, one row per label and edge, so that no label overwrites another.
-- source: LLM-MRI's get_graph for 2 components (which keeps one label on a shared edge); lift as in Brin et al. 1997
-- param: labels VARCHAR[] = NULL - keep these labels; all by default
-- param: degenerate BOOLEAN = false - keep edges at degenerate layers, whose one cell says nothing
-- column: label VARCHAR - the label
-- column: layer INTEGER - layer of the source; the target lies in the next layer of the scan
-- column: source VARCHAR - node "layer_x_y"
-- column: target VARCHAR - node "layer_x_y" in the next layer
-- column: from_x INTEGER - cell of the source along component 1
-- column: from_y INTEGER - cell of the source along component 2
-- column: to_x INTEGER - cell of the target along component 1
-- column: to_y INTEGER - cell of the target along component 2
-- column: weight BIGINT - samples that lie in both cells
-- column: n_from BIGINT - samples in the source cell
-- column: n_to BIGINT - samples in the target cell
-- column: n BIGINT - samples of the label that have a cell in both layers
-- column: expected DOUBLE - weight if the two cells were independent: n_from * n_to / n
-- column: lift DOUBLE - weight / expected, >= 0; 1 = as independence has it
WITH walks AS (
    SELECT
        here.label,
        here.layer,
        layers.next_layer,
        here.cell_x AS from_x,
        here.cell_y AS from_y,
        there.cell_x AS to_x,
        there.cell_y AS to_y
    FROM points AS here
    INNER JOIN layers
        ON here.layer = layers.layer
    INNER JOIN layers AS next_layers
        ON layers.next_layer = next_layers.layer
    INNER JOIN points AS there
        ON there.layer = layers.next_layer AND there.sample_id = here.sample_id
    WHERE
        ($labels IS NULL OR list_contains(CAST($labels AS VARCHAR[]), here.label))
        AND (CAST($degenerate AS BOOLEAN) OR NOT (layers.is_degenerate OR next_layers.is_degenerate))
        AND here.cell_x IS NOT NULL
        AND there.cell_x IS NOT NULL
),

counted AS (
    SELECT
        label,
        layer,
        next_layer,
        from_x,
        from_y,
        to_x,
        to_y,
        count(*) AS weight
    FROM walks
    GROUP BY label, layer, next_layer, from_x, from_y, to_x, to_y
),

totalled AS (
    SELECT
        *,
        CAST(sum(weight) OVER (PARTITION BY label, layer, from_x, from_y) AS BIGINT) AS n_from,
        CAST(sum(weight) OVER (PARTITION BY label, layer, to_x, to_y) AS BIGINT) AS n_to,
        CAST(sum(weight) OVER (PARTITION BY label, layer) AS BIGINT) AS n
    FROM counted
)

SELECT
    label,
    layer,
    concat_ws('_', layer, from_x, from_y) AS source,
    concat_ws('_', next_layer, to_x, to_y) AS target,
    from_x,
    from_y,
    to_x,
    to_y,
    weight,
    n_from,
    n_to,
    n,
    CAST(n_from AS DOUBLE) * n_to / n AS expected,
    CAST(weight AS DOUBLE) * n / (CAST(n_from AS DOUBLE) * n_to) AS lift
FROM totalled
ORDER BY label, layer, from_x, from_y, to_x, to_y;
