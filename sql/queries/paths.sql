-- The commonest ways through the layers: sequences of cells that samples follow from first layer to last.
-- source: LLM-MRI draws edges of one layer pair at a time; a path joins them over all layers
-- param: label VARCHAR = NULL - only this label's samples; all by default
-- param: limit INTEGER 1.. = 20 - rows to show
-- column: path VARCHAR - nodes "layer_x_y" joined by " > ", degenerate layers left out
-- column: n BIGINT - samples that follow it
-- column: share DOUBLE - n / samples counted, in [0, 1]
WITH steps AS (
    SELECT
        points.sample_id,
        points.layer,
        concat_ws('_', points.layer, points.cell_x, points.cell_y) AS node
    FROM points
    INNER JOIN layers
        ON points.layer = layers.layer
    WHERE
        NOT layers.is_degenerate
        AND points.cell_x IS NOT NULL
        AND ($label IS NULL OR points.label = CAST($label AS VARCHAR))
),

walked AS (
    SELECT
        sample_id,
        string_agg(node, ' > ' ORDER BY layer) AS path
    FROM steps
    GROUP BY sample_id
)

SELECT
    path,
    count(*) AS n,
    count(*) / CAST((SELECT count(*) FROM walked) AS DOUBLE) AS share
FROM walked
GROUP BY path
ORDER BY n DESC, path
LIMIT CAST($limit AS INTEGER);
