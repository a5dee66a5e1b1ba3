"""Names that come from outside, and numbers, as pages and tables show them."""

import base64
import html
import json
import math
import string


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


def number(value, template):
    """Return a number as text; a dash where there is none, or it is not finite."""
    return template.format(value) if value is not None and math.isfinite(value) else "-"
