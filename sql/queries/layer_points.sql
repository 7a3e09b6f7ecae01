-- Where the samples of a layer lie: all of them, or as many, the same at every layer.
-- source: a sample in the order of a hash of each sample's number: the same each time, of no label in particular
-- param: layer INTEGER - the layer
-- param: limit INTEGER 1.. = NULL - samples; all by default
-- param: seed INTEGER = 0 - of the hash
-- column: layer INTEGER - the layer
-- column: sample_id BIGINT - the sample
-- column: label VARCHAR - its label
-- column: x FLOAT - component 1
-- column: y FLOAT - component 2
-- column: cell_x INTEGER - 0-based cell along component 1
-- column: cell_y INTEGER - 0-based cell along component 2
WITH shuffled AS (
    SELECT
        layer,
        sample_id,
        label,
        coordinates[1] AS x,
        coordinates[2] AS y,
        cell_x,
        cell_y,
        row_number() OVER (ORDER BY md5(concat_ws(' ', CAST($seed AS INTEGER), sample_id)), sample_id) AS place
    FROM points
    WHERE layer = CAST($layer AS INTEGER) AND cell_x IS NOT NULL
)

SELECT
    layer,
    sample_id,
    label,
    x,
    y,
    cell_x,
    cell_y
FROM shuffled
WHERE $limit IS NULL OR place <= CAST($limit AS BIGINT)
ORDER BY sample_id;
