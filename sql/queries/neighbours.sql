-- The samples whose activations lie nearest to one sample's at a layer, by cosine similarity.
-- source: none in LLM-MRI; cosine similarity over full activations, not over reduced points
-- param: layer INTEGER - the layer
-- param: sample_id INTEGER - the sample whose neighbours are wanted
-- param: limit INTEGER 1.. = 10 - neighbours to show
-- column: rank BIGINT - 1 = nearest; ties by sample_id
-- column: sample_id BIGINT - the neighbour
-- column: label VARCHAR - its label
-- column: similarity FLOAT - cosine similarity, in [-1, 1]; NULL, and last, where an activation is all zeros
-- column: text VARCHAR - its text
WITH here AS (
    SELECT vector
    FROM activations
    WHERE
        layer = CAST($layer AS INTEGER)
        AND sample_id = CAST($sample_id AS BIGINT)
        AND vector IS NOT NULL
),

compared AS (
    SELECT
        activations.sample_id,
        -- An activation of zeros has no direction; DuckDB gives NaN or -1 for its cosine, by version.
        CASE
            WHEN
                array_inner_product(activations.vector, activations.vector) > 0
                AND array_inner_product(here.vector, here.vector) > 0
                THEN array_cosine_similarity(activations.vector, here.vector)
        END AS similarity
    FROM activations
    CROSS JOIN here
    WHERE
        activations.layer = CAST($layer AS INTEGER)
        AND activations.vector IS NOT NULL
        AND activations.sample_id <> CAST($sample_id AS BIGINT)
),

ranked AS (
    SELECT
        sample_id,
        similarity,
        row_number() OVER (ORDER BY similarity DESC NULLS LAST, sample_id) AS rank
    FROM compared
)

SELECT
    ranked.rank,
    ranked.sample_id,
    samples.label,
    ranked.similarity,
    samples.text
FROM ranked
INNER JOIN samples
    ON ranked.sample_id = samples.sample_id
ORDER BY rank
LIMIT CAST($limit AS INTEGER);
