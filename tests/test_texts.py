"""Texts of pages, tables and terminals: nothing that was typed elsewhere becomes HTML or moves a
cursor."""

import numpy as np
import pytest

from reverse_correlation.texts import (
    Html,
    html_of,
    html_of_each,
    html_table,
    json_in_page,
    number,
    printable,
)

ELEMENT = '<b title="\'">&'
ESCAPED = "&lt;b title=&quot;&#x27;&quot;&gt;&amp;"


def test_what_is_filled_in_is_escaped_unless_it_is_html():
    assert html_of("<p>$text</p>", text=ELEMENT) == f"<p>{ESCAPED}</p>"
    assert html_of("<p>$text</p>", text=html_of("<i>$n</i>", n=3)) == "<p><i>3</i></p>"
    assert html_of_each("<td>$text</td>", [ELEMENT, Html("<i>"), 2]) == (
        f"<td>{ESCAPED}</td><td><i></td><td>2</td>"
    )


def test_a_text_that_looks_like_a_place_in_a_template_stays_as_typed():
    assert html_of("$one $two", one="$two $$ ${one}", two="2") == "$two $$ ${one} 2"


def test_html_that_is_changed_is_a_text_again():
    assert not isinstance(Html("<i>") + "x", Html)


def test_a_table_escapes_its_heads_and_cells():
    table = html_table([ELEMENT], [[1], [ELEMENT]])
    assert table.count(ESCAPED) == 2 and table.count("<tr>") == 3 and "<b" not in table


def test_json_in_a_script_cannot_end_it():
    text = json_in_page(["</script><!--"])
    assert "<" not in text and text == '["\\u003c/script>\\u003c!--"]'


@pytest.mark.parametrize("unknown", [None, np.nan, np.inf, -np.inf, float("nan")])
def test_a_number_that_is_not_known_is_a_dash(unknown):
    assert number(unknown, "{:.3f}") == "-"
    assert number(np.float32(1234.5678), "{:,.1f}") == "1,234.6"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("\x9b2J", r"\x9b2J"),
        ("over\rwritten\b\x07\x00\x7f", r"over\rwritten\x08\x07\x00\x7f"),
        ("a\u202ecba\u2066", r"a\u202ecba\u2066"),
        ("not a name \udcff", r"not a name \udcff"),
        ("naïve 猫 👩\u200d🔬 -> 3 µm\n\tb", "naïve 猫 👩\u200d🔬 -> 3 µm\n\tb"),
    ],
)
def test_a_terminal_is_shown_control_characters_as_they_are_written(text, shown):
    assert printable(text) == shown
