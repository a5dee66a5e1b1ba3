"""Tables of a run, as JSON beside its figures; `docs/numbers.py` takes them into the pages."""

import json

from reverse_correlation import __version__
from reverse_correlation.files import replacing


def write_tables(tables, path, command, notes=()):
    """Write tables to a JSON file, a row a line, each table with what made it.

    Args:
        tables: {title: rows}; a row is a list of texts and numbers, the first one names columns.
        path: of the file.
        command: that repeats the run.
        notes: lines that stand above the tables where they are printed.

    Raises:
        FileError: if it cannot be written.
    """
    made = {"command": command, "version": __version__, "notes": list(notes)}
    text = text_of({title: {**made, "rows": rows} for title, rows in tables.items()})
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")


def text_of(tables):
    """Return {title: {"rows": [...], and what made it}} as JSON with a row a line."""
    parts = []
    for title, table in tables.items():
        fields = [f"  {_json(key)}: {_json(value)}" for key, value in table.items()]
        rows = ",\n".join(f"   {_json(row)}" for row in table["rows"])
        fields[list(table).index("rows")] = f'  "rows": [\n{rows}\n  ]'
        parts.append(f" {_json(title)}: {{\n" + ",\n".join(fields) + "\n }")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _json(value):
    return json.dumps(value, ensure_ascii=False)
