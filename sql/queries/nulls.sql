-- What each relabeling of every contrast that was kept came to.
-- source: largest statistics of relabelings by Nichols & Holmes 2002
-- column: result VARCHAR - name of the test
-- column: permutation BIGINT - number of the relabeling, from 0
-- column: max_score DOUBLE - largest score in the direction tested
-- column: max_mass DOUBLE - mass of the heaviest cluster
-- column: max_tfce DOUBLE - largest enhanced score
SELECT
    result,
    permutation,
    max_score,
    max_mass,
    max_tfce
FROM nulls
ORDER BY result, permutation;
