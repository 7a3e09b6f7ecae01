import json
import re

import altair as alt
import pytest
import vl_convert

from llm_mri_store.charts.expressions import word_fields, word_tooltip

HOSTILE = [
    "a", "..\\..\\up", "\\", '\\"', '"', '\\"}); alert(1) //', "'", "\\u0022 + data('x') + \\u0022",
    "C:\\new\\table", '\\\\"', "{{1}}", "`${1}`", "a\nb", "\u2028", "\\x41",
]  # fmt: skip


@pytest.mark.parametrize("title", HOSTILE)
def test_a_label_in_a_tooltips_title_is_words_and_never_part_of_the_expression(title):
    words = {f"of {title}": "'x'", "second": "'y'"}
    chart = alt.Chart(alt.InlineData([{"n": 1}])).mark_point().encode(x="n:Q", tooltip=word_tooltip(words))
    for name, expression in word_fields(words).items():
        chart = chart.transform_calculate(**{name: expression})
    compiled = vl_convert.vegalite_to_vega(chart.to_dict())
    (mark,) = compiled["marks"]
    signal = mark["encode"]["update"]["tooltip"]["signal"]
    key = re.match(r'\{("(?:[^"\\]|\\.)*"): ', signal)
    assert json.loads(key[1]) == f"of {' '.join(title.splitlines())}"
    assert signal[key.end() :].startswith("isValid(datum")
    vl_convert.vegalite_to_svg(chart.to_dict())
