import html
from itertools import pairwise

import altair as alt
import numpy as np
import pytest

from llm_mri_store.charts import apply_theme, on_ground, save_chart, theme_config
from llm_mri_store.charts.labels import label_colours
from llm_mri_store.charts.palettes import DARK, LIGHT, PALETTES
from llm_mri_store.charts.theme import named_by, readable_on, short_names, shortened, wrapped_lines
from llm_mri_store.errors import InvalidInput

BOTH = pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])


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


@BOTH
def test_the_sequential_scheme_runs_in_even_steps_and_starts_apart_from_empty(palette):
    shades = [lightness(colour) for colour in palette.sequential]
    steps = [abs(a - b) for a, b in pairwise(shades)]

    assert shades == sorted(shades, reverse=palette is LIGHT)
    assert min(steps) > 5
    assert max(steps) < 2 * min(steps)
    assert abs(lightness(palette.empty) - lightness(palette.paper)) < 6
    assert abs(lightness(palette.empty) - shades[0]) > 7


def test_more_is_darker_on_light_ground_and_brighter_on_dark():
    assert lightness(LIGHT.sequential[0]) > lightness(LIGHT.sequential[-1])
    assert lightness(DARK.sequential[0]) < lightness(DARK.sequential[-1])


@BOTH
def test_the_middle_of_two_labels_shows_on_paper_and_both_ends_are_as_light(palette):
    shades = [lightness(colour) for colour in palette.balance]
    assert abs(shades[4] - lightness(palette.paper)) > 25
    assert shades[0] == pytest.approx(shades[-1], abs=12)


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


@BOTH
@pytest.mark.parametrize("cone", BLINDNESS)
def test_whoever_looks_tells_more_of_a_from_more_of_b_and_both_from_nothing(palette, cone):
    colours = [seen_by(colour, cone) for colour in palette.difference]
    middle = len(colours) // 2

    for step in range(2, middle + 1):
        assert np.linalg.norm(colours[middle - step] - colours[middle + step]) > 10
        assert np.linalg.norm(colours[middle] - colours[middle + step]) > 10
        assert np.linalg.norm(colours[middle] - colours[middle - step]) > 10


@BOTH
def test_the_size_of_a_difference_shows_in_grey_and_none_is_told_from_empty(palette):
    shades = [lightness(colour) for colour in palette.difference]
    middle = len(shades) // 2
    is_light = palette is LIGHT

    assert shades[: middle + 1] == sorted(shades[: middle + 1], reverse=not is_light)
    assert shades[middle:] == sorted(shades[middle:], reverse=is_light)
    assert shades[0] == pytest.approx(shades[-1], abs=6)
    assert abs(lightness(palette.empty) - shades[middle]) > 7


def luminance(colour):
    """Relative luminance as WCAG 2.2 defines it, in [0, 1]."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast_ratio(one, other):
    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


@BOTH
def test_words_have_a_contrast_of_four_and_a_half_on_paper_and_on_empty_cells(palette):
    for words in (palette.ink, palette.quiet_ink, palette.category[0]):
        for ground in (palette.paper, palette.empty):
            assert contrast_ratio(words, ground) >= 4.5


def colours_of_words(config):
    for part in config.values():
        if isinstance(part, dict):
            for name, value in part.items():
                if name in {"labelColor", "titleColor", "subtitleColor"}:
                    yield value
    yield config["title"]["color"]
    yield config["text"]["color"]


@pytest.mark.parametrize("theme", PALETTES)
def test_every_colour_of_words_in_the_setting_reads_on_its_ground(theme):
    config = theme_config(theme)
    colours = list(colours_of_words(config))
    assert len(colours) > 8
    assert min(contrast_ratio(colour, config["background"]) for colour in colours) >= 4.5


@BOTH
def test_numbers_on_any_colour_are_black_or_white_at_four_and_a_half(palette):
    threshold = float(readable_on("c")["expr"].split("> ")[1].split(" ?")[0])
    for colour in (*palette.sequential, *palette.category, *palette.difference, *palette.balance):
        words = "#000000" if luminance(colour) > threshold else "#ffffff"
        assert contrast_ratio(words, colour) >= 4.5
    assert (threshold + 0.05) / 0.05 >= 4.5
    assert 1.05 / (threshold + 0.05) >= 4.5


@BOTH
def test_marks_of_labels_differ_and_show_on_paper(palette):
    assert len(set(palette.category)) == len(palette.category)
    assert min(contrast_ratio(colour, palette.paper) for colour in palette.category) > 2


def test_both_grounds_set_the_same_things():
    def names(part):
        return {
            name: names(value) if isinstance(value, dict) else type(value) for name, value in part.items()
        }

    assert names(theme_config("light")) == names(theme_config("dark"))


def test_a_chart_is_turned_dark_by_its_setting_alone():
    light = apply_theme(bars(), title="t").to_dict()
    dark = on_ground(light, "dark")
    assert {name for name in light if light[name] != dark[name]} == {"config"}
    assert dark == apply_theme(bars(), title="t", theme="dark").to_dict()
    assert dark["config"]["background"] == DARK.paper


def test_a_chart_of_another_look_is_left_as_it_is():
    assert on_ground(bars().to_dict(), "dark") == bars().to_dict()


def test_a_dark_picture_is_drawn_on_dark_paper(tmp_path):
    chart = apply_theme(bars().encode(y="n:Q"), title="t")
    light, dark = (
        save_chart(chart, tmp_path / f"{theme}.svg", theme=theme).read_text() for theme in PALETTES
    )
    assert f'fill="{LIGHT.paper}"' in light
    assert f'fill="{DARK.paper}"' in dark
    assert LIGHT.ink not in dark
    page = save_chart(chart, tmp_path / "dark.html", theme="dark").read_text()
    assert f"background: {DARK.paper}" in page


def test_an_unknown_ground_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match="theme is 'grey'; expected 'light' or 'dark'"):
        save_chart(bars(), tmp_path / "c.svg", theme="grey")


def test_up_to_ten_labels_have_a_colour_each_and_more_share_grey():
    ten = label_colours({f"l{place}": 1 for place in range(10)})
    assert (len(ten.names), ten.notes) == (10, [])
    many = label_colours({f"l{place:02}": place for place in range(12)})
    assert many.names == (*(f"l{place:02}" for place in range(3, 12)), "3 other labels")
    assert many.drawn_as["l00"] == "3 other labels"
    assert len(many.scale.to_dict()["range"]) == len(many.names)
    assert "The 3 labels with the fewest samples are drawn as one, in grey." in many.notes


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


def test_names_that_begin_alike_are_cut_in_the_middle():
    long = [f"a rather long label name that goes on and on {end}" for end in "xyz"]
    short = short_names(["plain", *long])
    assert short["plain"] == "plain"
    assert len(set(short.values())) == 4
    assert all(len(name) <= 28 for name in short.values())
    assert short[long[2]].endswith(" on z")


def test_names_that_cannot_be_told_apart_stay_different():
    assert len(set(short_names(["a b", "a\nb", "a  b"]).values())) == 3


def test_hostile_names_are_words_within_an_expression(tmp_path):
    hostile = "'\"]</script>${x}\\"
    chart = bars().encode(
        color=alt.Color("l:N", legend=alt.Legend(labelExpr=named_by(short_names([hostile]))))
    )
    chart.data = alt.InlineData(values=[{"n": 1, "l": hostile}])
    drawn = save_chart(apply_theme(chart, title="t"), tmp_path / "c.svg").read_text()
    assert html.escape(hostile, quote=False) in drawn
