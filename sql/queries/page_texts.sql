-- The texts that a page shows: all where they fit, else a sample of them, and one of every cell.
-- source: a sample in the order of a hash of each sample's number: the same each time, of no label in particular
-- param: max_bytes INTEGER 0.. = 1500000 - bytes of text (UTF-8), all texts together
-- param: max_texts INTEGER 0.. = 5000 - texts, beside the first of every cell
-- param: max_chars INTEGER 1.. = 400 - longer texts are cut to this many characters, with an ellipsis
-- param: seed INTEGER = 0 - of the hash
-- column: sample_id BIGINT - the sample
-- column: label VARCHAR - its label
-- column: text VARCHAR - its text
-- column: is_first BOOLEAN - some cell has no text before it in the sample's order, so it is there in any case
WITH occupied AS (
    SELECT
        layer,
        cell_x,
        cell_y,
        sample_id
    FROM points
    WHERE cell_x IS NOT NULL
),

shuffled AS (
    SELECT
        sample_id,
        row_number() OVER (ORDER BY md5(concat_ws(' ', CAST($seed AS INTEGER), sample_id)), sample_id) AS place
    FROM (
        SELECT DISTINCT sample_id
        FROM occupied
    )
),

first_of_cell AS (
    SELECT DISTINCT min(shuffled.place) AS place
    FROM occupied
    INNER JOIN shuffled
        ON occupied.sample_id = shuffled.sample_id
    GROUP BY occupied.layer, occupied.cell_x, occupied.cell_y
),

shortened AS (
    SELECT
        shuffled.place,
        samples.sample_id,
        samples.label,
        CASE
            WHEN length(samples.text) <= CAST($max_chars AS INTEGER) THEN samples.text
            ELSE concat(left(samples.text, CAST($max_chars AS INTEGER) - 1), '…')
        END AS text,
        shuffled.place IN (FROM first_of_cell) AS is_first
    FROM shuffled
    INNER JOIN samples
        ON shuffled.sample_id = samples.sample_id
),

measured AS (
    SELECT
        *,
        -- The first text of every cell is there before the others are counted.
        sum(CASE WHEN is_first THEN size ELSE 0 END) OVER ()
        + sum(CASE WHEN is_first THEN 0 ELSE size END) OVER (ORDER BY place) AS n_bytes
    FROM shortened
    CROSS JOIN LATERAL (SELECT coalesce(strlen(text), 0) AS size)
)

SELECT
    sample_id,
    label,
    text,
    is_first
FROM measured
WHERE
    is_first
    OR (n_bytes <= CAST($max_bytes AS BIGINT) AND place <= CAST($max_texts AS BIGINT))
ORDER BY sample_id;
