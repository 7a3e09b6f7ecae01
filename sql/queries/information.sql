-- What a sample's cell tells of its label, beyond chance: layers and steps of every such test that was kept.
-- source: mutual information by Shannon 1948, conditional by Cover & Thomas 2006; bias by Miller 1955; intervals by
-- the jackknife; llm_mri_store/analysis/information.py
-- column: result VARCHAR - name of the test
-- column: labels VARCHAR[] - the labels told apart
-- column: layer INTEGER - the layer
-- column: next_layer INTEGER - NULL: of the layer; else of the step to it: what its cell tells beyond the layer's own
-- column: n BIGINT - samples
-- column: n_cells BIGINT - occupied cells, or pairs of cells that samples step between
-- column: label_entropy DOUBLE - H(label) in bits: what there is to tell
-- column: information DOUBLE - plug-in, in bits
-- column: bias DOUBLE - its Miller-Madow bias
-- column: information_corrected DOUBLE - information - bias
-- column: by_chance DOUBLE - mean over relabelings: the bias where labels do not differ
-- column: by_chance_low DOUBLE - 2.5 % point over relabelings
-- column: by_chance_high DOUBLE - 97.5 % point
-- column: band_fwe DOUBLE - at no layer does chance reach above it in 95 % of relabelings
-- column: excess DOUBLE - information - by_chance; about 0 where the cell tells nothing
-- column: excess_low DOUBLE - lower end of its 95 % interval
-- column: excess_high DOUBLE - upper end of its 95 % interval
-- column: excess_share DOUBLE - excess / label_entropy: the share that is told
-- column: p DOUBLE - p by itself
-- column: p_fwe DOUBLE - family-wise p, over all layers or over all steps
-- column: is_peak BOOLEAN - the layer of the largest excess
-- column: may_be_peak BOOLEAN - in the 95 % confidence set of where the peak is
-- column: note VARCHAR - why it says nothing
-- column: twin_information DOUBLE - the same of the random twin
-- column: twin_excess DOUBLE - likewise
-- column: twin_excess_low DOUBLE - likewise
-- column: twin_excess_high DOUBLE - likewise
-- column: twin_p_fwe DOUBLE - likewise
-- column: also_in_twin BOOLEAN - family-wise p of at most 0.05 here and in the twin; NULL without one
SELECT
    result,
    labels,
    layer,
    next_layer,
    n,
    n_cells,
    label_entropy,
    information,
    bias,
    information_corrected,
    by_chance,
    by_chance_low,
    by_chance_high,
    band_fwe,
    excess,
    excess_low,
    excess_high,
    excess_share,
    p,
    p_fwe,
    is_peak,
    may_be_peak,
    note,
    twin_information,
    twin_excess,
    twin_excess_low,
    twin_excess_high,
    twin_p_fwe,
    also_in_twin
FROM information
ORDER BY result, layer, next_layer NULLS FIRST;
