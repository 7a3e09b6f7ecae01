-- How far two labels differ in the numeric covariates that a contrast held constant.
-- source: standardised mean difference by Austin 2009
-- column: result VARCHAR - name of the test
-- column: a VARCHAR - side A: a label, or several joined by +
-- column: b VARCHAR - side B, or rest: all other labels
-- column: covariate VARCHAR - the covariate
-- column: mean_a DOUBLE - mean of A; NULL where a side has fewer than 2 values or nothing varies
-- column: mean_b DOUBLE - mean of B
-- column: smd_before DOUBLE - difference of the means in standard deviations
-- column: smd_after DOUBLE - the same within strata; above 0.1 in size it is not held constant
SELECT
    result,
    a,
    b,
    covariate,
    mean_a,
    mean_b,
    smd_before,
    smd_after
FROM contrast_balance
ORDER BY result, covariate;
