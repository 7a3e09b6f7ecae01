from itertools import pairwise

import altair as alt
import numpy as np
import pytest

from llm_mri_store.charts import apply_theme
from llm_mri_store.charts.theme import (
    CATEGORICAL,
    DIFFERENCE,
    DIVERGING,
    EMPTY,
    PAPER,
    QUIET_INK,
    SEQUENTIAL,
    shortened,
    wrapped_lines,
)


def lightness(colour):
    """CIE L* of an sRGB colour, in [0, 100]."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return 116 * luminance ** (1 / 3) - 16 if luminance > 0.008856 else 903.3 * luminance


def bars():
    return alt.Chart(alt.InlineData(values=[{"n": 1}])).mark_bar()


def test_altair_itself_is_left_as_it_was():
    before = bars().to_dict()

    apply_theme(bars(), title="t")

    assert bars().to_dict() == before


def test_the_sequential_scheme_darkens_in_even_steps_and_starts_apart_from_empty():
    steps = [lightness(a) - lightness(b) for a, b in pairwise(SEQUENTIAL)]

    assert min(steps) > 5
    assert max(steps) < 2 * min(steps)
    assert lightness(EMPTY) > 96
    assert lightness(EMPTY) - lightness(SEQUENTIAL[0]) > 7


def test_the_middle_of_two_labels_shows_on_white_and_both_ends_are_as_dark():
    assert lightness(DIVERGING[4]) < 75
    assert lightness(DIVERGING[0]) == pytest.approx(lightness(DIVERGING[-1]), abs=12)


def seen_by(colour, cone):
    """A colour as one who lacks a kind of cone sees it, CIE L*a*b*."""
    parts = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    xyz = TO_XYZ @ np.clip(BLINDNESS[cone] @ linear, 0, 1) / TO_XYZ.sum(axis=1)
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
# Machado, Oliveira & Fernandes, IEEE TVCG 15 (2009), severity 1.
BLINDNESS = {
    "none": np.eye(3),
    "long": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "medium": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "short": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}


@pytest.mark.parametrize("cone", BLINDNESS)
def test_whoever_looks_tells_more_of_a_from_more_of_b_and_both_from_nothing(cone):
    colours = [seen_by(colour, cone) for colour in DIFFERENCE]
    middle = len(colours) // 2

    for step in range(2, middle + 1):
        assert np.linalg.norm(colours[middle - step] - colours[middle + step]) > 10
        assert np.linalg.norm(colours[middle] - colours[middle + step]) > 10
        assert np.linalg.norm(colours[middle] - colours[middle - step]) > 10


def test_the_size_of_a_difference_shows_in_grey_and_none_is_told_from_empty():
    shades = [lightness(colour) for colour in DIFFERENCE]
    middle = len(shades) // 2

    assert shades[: middle + 1] == sorted(shades[: middle + 1])
    assert shades[middle:] == sorted(shades[middle:], reverse=True)
    assert shades[0] == pytest.approx(shades[-1], abs=6)
    assert lightness(EMPTY) - shades[middle] > 7


def test_words_have_a_contrast_of_four_and_a_half_on_paper():
    def luminance(colour):
        return ((lightness(colour) + 16) / 116) ** 3

    assert (luminance(PAPER) + 0.05) / (luminance(QUIET_INK) + 0.05) >= 4.5


def test_colours_of_labels_differ():
    assert len(set(CATEGORICAL)) == len(CATEGORICAL)


def test_long_titles_are_wrapped_and_hostile_ones_kept_as_text():
    heading = apply_theme(bars(), title="word " * 40, subtitle=["</script><b>\n"]).to_dict()["title"]

    assert len(heading["text"]) > 1
    assert heading["subtitle"] == ["</script><b>"]


def test_lines_fit_their_width():
    assert all(len(line) <= 60 for line in wrapped_lines(["ab " * 100], width_px=60 * 0.55 * 12, size_px=12))


def test_shortened_keeps_one_line_within_its_limit():
    assert shortened("a\nb") == "a b"
    assert shortened("x" * 31) == "x" * 29 + "…"
    assert shortened("x" * 30) == "x" * 30
