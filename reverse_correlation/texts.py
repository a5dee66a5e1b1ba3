"""Names that come from outside, and numbers, as pages, tables and terminals show them."""

import base64
import html
import json
import math
import re
import string

# what moves a terminal's cursor, changes its state or the direction of its lines, or cannot be
# written at all; but not the ends of lines, and tabs
CONTROL = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def printable(text):
    """Return a text with control characters written out, such as \\x1b, for a terminal."""
    return CONTROL.sub(lambda found: ascii(found[0])[1:-1], str(text))


class PrintableStream:
    """A stream of text, such as standard output, that control characters do not get through to.

    Args:
        stream: what is written to.
    """

    def __init__(self, stream):
        self.stream = stream

    def write(self, text):
        """Write a text, as `printable` returns it."""
        return self.stream.write(printable(text))

    def __getattr__(self, name):
        """Return whatever else the stream has."""
        return getattr(self.stream, name)


class Html(str):
    """A text that is HTML already, so that it is not escaped again."""


def html_of(template, **texts):
    """Fill a template of HTML: Html. The one place where texts are escaped.

    Args:
        template: as `string.Template` has it, `$name` for each text.
        texts: what is filled in; whatever is not Html is shown as typed.
    """
    escaped = {
        name: text if isinstance(text, Html) else html.escape(str(text))
        for name, text in texts.items()
    }
    return Html(string.Template(template).substitute(escaped))


def html_of_each(template, texts, between=""):
    """Fill a template with each text in turn, as `$text`, and join what becomes of them: Html."""
    return Html(between.join(html_of(template, text=text) for text in texts))


def html_table(head, rows):
    """Return an HTML table of texts."""
    body = html_of_each("<tr>$text</tr>", [html_of_each("<td>$text</td>", row) for row in rows])
    return html_of(
        "<table><thead><tr>$head</tr></thead><tbody>$body</tbody></table>",
        head=html_of_each("<th>$text</th>", head),
        body=body,
    )


def json_in_page(value):
    """Return a value as JSON that may stand inside a script element: Html."""
    return Html(json.dumps(value).replace("<", "\\u003c"))


def base64_of(array):
    """Return the bytes of an array, row by row, as text in base 64."""
    return base64.b64encode(array.tobytes()).decode()


def in_short(value):
    """Return what `repr` says of a value; of an array with more than ten numbers, its shape."""
    shape = getattr(value, "shape", ())
    return f"<array {shape}>" if math.prod(shape) > 10 else repr(value)


def aligned(rows):
    """Return rows of texts as lines of a table whose first column stands left: [text]."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows
    ]


def number(value, template):
    """Return a number as text; a dash where there is none, or it is not finite."""
    return template.format(value) if value is not None and math.isfinite(value) else "-"
