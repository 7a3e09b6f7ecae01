"""What was done, as a paragraph: data, statistic, relabelings, adjustment, versions, references."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from llm_mri_store import schema
from llm_mri_store.records.words import span_words

if TYPE_CHECKING:
    from llm_mri_store.analysis.kept_results import KeptResult
    from llm_mri_store.api.agreement import AgreementResult
    from llm_mri_store.api.reduction import Reduction
    from llm_mri_store.records.reductions import ReductionSpec
    from llm_mri_store.records.scans import ScanSpec

REFERENCES: Final = {
    "Agresti 2013": "Agresti, Categorical Data Analysis, 3rd ed., Wiley 2013",
    "Bagrow & Bollt 2019": "Bagrow & Bollt, Applied Network Science 4:45, 2019",
    "Benjamini & Hochberg 1995": "Benjamini & Hochberg, J. R. Statist. Soc. B 57, 1995",
    "Bullmore et al. 1999": "Bullmore et al., IEEE Trans. Med. Imaging 18, 1999",
    "Cover & Thomas 2006": "Cover & Thomas, Elements of Information Theory, 2nd ed., Wiley 2006",
    "Efron & Stein 1981": "Efron & Stein, Ann. Statist. 9, 1981",
    "Gilbert 2005": "Gilbert, Applied Statistics 54, 2005",
    "Gu et al. 2015": "Gu, Hua & Liu, Discrete Applied Mathematics 190, 2015",
    "Holm 1979": "Holm, Scand. J. Statist. 6, 1979",
    "Kazi-Aoual et al. 1995": "Kazi-Aoual et al., Comput. Statist. Data Anal. 20, 1995",
    "Kornblith et al. 2019": "Kornblith et al., ICML 2019 (arXiv 1905.00414)",
    "Lin 1991": "Lin, IEEE Trans. Inf. Theory 37, 1991",
    "Mantel & Haenszel 1959": "Mantel & Haenszel, J. Natl. Cancer Inst. 22, 1959",
    "Maris & Oostenveld 2007": "Maris & Oostenveld, J. Neurosci. Methods 164, 2007",
    "Newcombe 1998": "Newcombe, Statistics in Medicine 17, 1998",
    "Nichols & Holmes 2002": "Nichols & Holmes, Human Brain Mapping 15, 2002",
    "Phipson & Smyth 2010": "Phipson & Smyth, Stat. Appl. Genet. Mol. Biol. 9, 2010",
    "Robins et al. 1986": "Robins, Breslow & Greenland, Biometrics 42, 1986",
    "Sato 1989": "Sato, Biometrics 45, 1989",
    "Smith & Nichols 2009": "Smith & Nichols, NeuroImage 44, 2009",
    "Tarone 1990": "Tarone, Biometrics 46, 1990",
    "Vinh et al. 2010": "Vinh, Epps & Bailey, J. Mach. Learn. Res. 11, 2010",
    "Westfall & Young 1993": "Westfall & Young, Resampling-Based Multiple Testing, Wiley 1993",
    "Wilson & Hilferty 1931": "Wilson & Hilferty, Proc. Natl. Acad. Sci. 17, 1931",
    "Winkler et al. 2015": "Winkler et al., NeuroImage 123, 2015",
    "Zalesky et al. 2010": "Zalesky, Fornito & Bullmore, NeuroImage 53, 2010",
}
"""What paragraphs cite, by the words they cite it with."""

_VERSIONS: Final = ("llm-mri-store", "numpy", "scipy")


def methods_paragraph(reduction: Reduction, kept: KeptResult) -> str:
    """What was done to get a test's rows, in one paragraph that can be pasted.

    Args:
        reduction: what was tested.
        kept: the test.
    """
    (facts,) = kept.tables[schema.TESTS].to_pylist()
    scan = reduction.scan().spec
    tell = {
        schema.CONTRAST: _contrast,
        schema.LABEL_CONTRAST: _label_contrast,
        schema.EDGE_TEST: _edges,
        schema.INFORMATION: _information,
        schema.COMPARISON: _comparison,
    }[kept.spec.kind]
    sentences = [
        _reading(scan, reduction.layers),
        _mapping(reduction.spec, reduction.degenerate_layers),
        *tell(facts, kept.spec.parameters),
        *_twin(kept.spec.parameters),
        _versions(kept.versions),
    ]
    words = " ".join(sentences)
    return _with_references(words)


def agreement_paragraph(found: AgreementResult) -> str:
    """What was done to compare two reductions, in one paragraph that can be pasted.

    Args:
        found: the comparison.
    """
    has_grids = all(one.spec.grid is not None for one in (found.reduction, found.other))
    sentences = []
    for name, one in (("A", found.reduction), ("B", found.other)):
        sentences += [
            f"{name}: {_reading(one.scan().spec, one.layers)}",
            _mapping(one.spec, one.degenerate_layers),
        ]
    is_of_tokens = found.reduction.scan().spec.token_step is not None
    if found.n_samples is not None:
        of_cells = "adjusted mutual information of their partitions into cells (Vinh et al. 2010) and by "
        moved = "whole texts of B among those of as many tokens" if is_of_tokens else "the texts of B"
        sentences += [
            f"Every layer of A was held against every layer of B over {found.n_samples:,} matched "
            f"samples: by {of_cells * has_grids}linear CKA of their coordinates (Kornblith et al. 2019).",
            f"Under the null {moved} are permuted, {found.n_permutations:,} times with seed {found.seed}; p "
            "is (b + 1) / (m + 1) for b of m that reach what was observed (Phipson & Smyth 2010), and was "
            "adjusted family-wise over all pairs of layers by the largest of them in standard deviations "
            "(Westfall & Young 1993).",
        ]
    activations = found.layers.arrow["activation_cka"]
    if activations.null_count < len(activations):
        exact = "" if is_of_tokens else ", and their mean by chance is exact (Kazi-Aoual et al. 1995)"
        sentences.append(f"Whole activations were compared by linear CKA too; they were not tested{exact}.")
    if has_grids:
        sentences.append(
            "Metrics of graphs stand side by side, and distances between graphs are the portrait divergence "
            "(Bagrow & Bollt 2019) and the distance of Laplacian spectra (Gu et al. 2015); neither is tested."
        )
    sentences.append("95 % intervals are those of a jackknife over parts of the texts (Efron & Stein 1981).")
    from llm_mri_store.store.catalogue import versions

    return _with_references(" ".join([*sentences, _versions(versions())]))


def _with_references(words: str) -> str:
    cited = [full for short, full in REFERENCES.items() if short in words]
    return f"{words} References: {'; '.join(cited)}." if cited else words


def _reading(spec: ScanSpec, layers: tuple[int, ...]) -> str:
    revision = f", revision {spec.revision}" if spec.revision else ""
    weights = (
        "" if spec.random_weights is None else f", weights drawn at random with seed {spec.random_weights}"
    )
    split = f", split {spec.split}" if spec.split else ""
    unit = "tokens" if spec.token_step is not None else "texts"
    pooled = "one vector per token" if spec.token_step is not None else f"pooled by {spec.pooling}"
    return (
        f"Activations of {spec.model}{revision}{weights} for {spec.n_samples:,} {unit} of "
        f"{spec.corpus}{split} were read at the site '{spec.site}' of layers {span_words(layers)}, {pooled}, "
        f"in {spec.dtype}."
    )


def _mapping(spec: ReductionSpec, degenerate: tuple[int, ...]) -> str:
    method = {"pca": "principal component analysis", "svd": "singular value decomposition", "umap": "UMAP"}
    how = {
        "pca": "of standardised features",
        "svd": "of standardised features",
        "umap": f"(seed {spec.seed})",
    }
    scaled = how[spec.method] if spec.scale or spec.method == "umap" else "of features as they are"
    bins = "of equal width" if spec.bins == "width" else "between quantiles"
    divided = "" if spec.grid is None else f" and divided into {spec.grid} x {spec.grid} cells {bins}"
    fitted = "" if spec.template is None else f", as fitted on {spec.template},"
    left_out = (
        f" Layers whose activations do not vary between texts were left out ({span_words(degenerate)})."
        if degenerate
        else ""
    )
    return (
        f"Each layer was reduced to {spec.n_components} coordinates by {method[spec.method]} "
        f"{scaled}{fitted}{divided}.{left_out}"
    )


def _exchange(facts: Mapping[str, Any], parameters: Mapping[str, Any]) -> str:
    """What was permuted within what, and how often."""
    among = "among samples"
    if facts["groups"]:
        whole, split = facts["n_whole_groups"], facts["n_split_groups"]
        parts = [
            *(
                [f"among {whole:,} groups of {facts['groups']} that have one label, each as a whole"]
                * bool(whole)
            ),
            *([f"within {split:,} groups of {facts['groups']} that have several labels"] * bool(split)),
        ]
        among = f"{' and '.join(parts)} (Winkler et al. 2015)"
    within = ""
    if facts["strata"]:
        names = " and ".join(facts["strata"])
        within = f" within strata of {names} (numbers in {parameters['n_bins']} quantile bins)"
    left_out = ""
    if facts["n_samples_left_out"]:
        left_out = f" ({facts['n_samples_left_out']:,} samples without a counterpart took no part)"
    if facts["is_exact"]:
        how = f"all {facts['n_permutations']:,} different relabelings were counted"
    else:
        how = (
            f"{facts['n_permutations']:,} relabelings were drawn with seed {facts['seed']}, and p is "
            "(b + 1) / (m + 1) for b of m that reach what was observed (Phipson & Smyth 2010)"
        )
    return f"Labels were exchanged {among}{within}{left_out}; {how}."


def _sides(facts: Mapping[str, Any]) -> str:
    return f"'{facts['a']}' ({facts['n_a']:,} samples) was compared with '{facts['b']}' ({facts['n_b']:,})"


_SCORE: Final = (
    "Mantel and Haenszel's standardised deviation of the samples in the cell from those expected (Mantel & "
    "Haenszel 1959), with the skewness of its permutation distribution taken out by a cube root (after "
    "Wilson & Hilferty 1931)"
)
_WITHIN_STRATA: Final = (
    "Within strata they are weighted as Mantel and Haenszel weigh (intervals after Sato 1989), and odds "
    "ratios are their common odds ratio (intervals after Robins et al. 1986)."
)
_LARGEST: Final = {
    "two-sided": "largest absolute score",
    "greater": "largest score",
    "less": "smallest score",
}


def _contrast(facts: Mapping[str, Any], parameters: Mapping[str, Any]) -> list[str]:
    threshold = parameters["cluster_threshold"]
    own = (
        "P of a cell by itself is exact (a sum of hypergeometric counts, Agresti 2013); q is by Benjamini & "
        "Hochberg 1995 over the cells whose p could reach 0.05 (Gilbert 2005)."
        if facts["p_method"] == "exact"
        else "P of a cell by itself was counted over the relabelings; q is by Benjamini & Hochberg 1995."
    )
    return [
        f"{_sides(facts)} in every cell.",
        f"The statistic is {_SCORE}.",
        _exchange(facts, parameters),
        f"P was adjusted family-wise over all cells tested ({facts['n_tested']:,}) of all layers by the "
        f"{_LARGEST[facts['alternative']]} of each relabeling (Westfall & Young 1993; Nichols & Holmes "
        "2002).",
        f"Clusters of cells that share a side and have absolute scores above {threshold:g} were tested by "
        "the largest cluster mass (Bullmore et al. 1999; Maris & Oostenveld 2007), and cells with their "
        "neighbours by threshold-free cluster enhancement with E = 0.5 and H = 2 (Smith & Nichols 2009).",
        own,
        "Differences are of shares of the samples of each side, with 95 % intervals after Newcombe 1998.",
        *([_WITHIN_STRATA] if facts["strata"] else []),
    ]


def _label_contrast(facts: Mapping[str, Any], parameters: Mapping[str, Any]) -> list[str]:
    names = ", ".join(repr(label) for label in facts["labels"])
    return [
        f"{len(facts['labels'])} labels ({names}; {facts['n_samples']:,} samples) were compared in every "
        "cell.",
        "The statistic is the sum over labels of the squared score of each against all others, weighted by "
        f"the share of samples of other labels; a score is {_SCORE}.",
        _exchange(facts, parameters),
        f"P was adjusted family-wise over all cells tested ({facts['n_tested']:,}) of all layers by the "
        "largest statistic of each relabeling (Westfall & Young 1993; Nichols & Holmes 2002).",
        "Each pair of labels was then tested by exchanging its two labels alone, and p of its largest score "
        "was adjusted over pairs (Holm 1979).",
    ]


def _edges(facts: Mapping[str, Any], parameters: Mapping[str, Any]) -> list[str]:
    least = (
        "Edges were tested whose p could be 0.05 or less (Tarone 1990); p of an edge by itself is "
        + ("exact" if facts["p_method"] == "exact" else "counted over the relabelings")
        + ", and q is by Benjamini & Hochberg 1995."
    )
    if parameters["test"] == "coupling":
        who = "All samples" if facts["a"] is None else f"The samples of '{facts['a']}'"
        within = f" that agree in {' and '.join(facts['strata'])}" if facts["strata"] else ""
        return [
            f"{who} ({facts['n_samples']:,}) were counted on every pair of cells of neighbouring layers that "
            f"hold {parameters['min_cell']} of them each.",
            "Under the null the cell at one layer says nothing of the cell at the next: cells were permuted "
            f"among samples{within} {facts['n_permutations']:,} times with seed {facts['seed']}.",
            least,
            f"P was adjusted family-wise over all pairs tested ({facts['n_tested']:,}) by the smallest p of "
            "each permutation (Westfall & Young 1993).",
        ]
    given = {
        "nothing": "its share of the samples of each side",
        "source": "its share of each side's samples in the source's cell, labels being exchanged among "
        "samples of that cell",
    }[parameters["given"]]
    return [
        f"{_sides(facts)} on every edge by {given}.",
        _exchange(facts, parameters),
        least,
        f"P was adjusted family-wise over all edges tested ({facts['n_tested']:,}) by the smallest p of each "
        "relabeling (Westfall & Young 1993).",
        f"Connected sets of edges with absolute scores above {parameters['cluster_threshold']:g} were tested "
        "by the sum of their scores above it (network-based statistic, Zalesky et al. 2010).",
    ]


def _information(facts: Mapping[str, Any], parameters: Mapping[str, Any]) -> list[str]:
    names = ", ".join(repr(label) for label in facts["labels"])
    return [
        f"What a sample's cell tells of its label ({names}; {facts['n_samples']:,} samples) is the mutual "
        "information of the two in bits, counted; what the next layer's cell adds to it is the conditional "
        "mutual information (Cover & Thomas 2006).",
        _exchange(facts, parameters),
        "Of the step to the next layer, labels were exchanged among samples of one cell.",
        "What chance alone gives, the mean over relabelings, was subtracted; p was adjusted family-wise over "
        "layers, and over steps, by the largest of them in standard deviations (Westfall & Young 1993).",
        "95 % intervals are those of a jackknife over parts of the samples (Efron & Stein 1981).",
    ]


def _comparison(facts: Mapping[str, Any], parameters: Mapping[str, Any]) -> list[str]:
    return [
        f"{_sides(facts)} by their graphs, whose nodes are cells and whose edges count the samples that go "
        "from a cell to one of the next layer.",
        "Distances between graphs are the weighted Jaccard distance, the Jensen-Shannon divergence of edge "
        "weights (Lin 1991), the portrait divergence (Bagrow & Bollt 2019) and the distance of Laplacian "
        "spectra (Gu et al. 2015).",
        _exchange(facts, parameters),
        "P was adjusted family-wise over distances, and over metrics, by the largest of them in standard "
        "deviations (Westfall & Young 1993).",
        "95 % intervals are those of a jackknife over parts of the samples (Efron & Stein 1981).",
    ]


def _twin(parameters: Mapping[str, Any]) -> list[str]:
    if parameters.get("twin") is None:
        return []
    return [
        f"The same was done on {parameters['twin']}: the same texts, read by a model of the same build whose "
        f"weights were drawn at random (seed {parameters['twin_seed']})."
    ]


def _versions(versions: Mapping[str, str]) -> str:
    named = [f"{package} {versions[package]}" for package in _VERSIONS if package in versions]
    return f"Computed with {', '.join(named)}."
