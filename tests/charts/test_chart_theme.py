from itertools import pairwise

import altair as alt
import pytest

from llm_mri_store.charts import apply_theme
from llm_mri_store.charts.theme import CATEGORICAL, DIVERGING, EMPTY, SEQUENTIAL, shortened, wrapped_lines


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
