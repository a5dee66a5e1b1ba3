"""Write the numbers of README.md and docs/*.md from docs/numbers/*.json, or check them.

    python docs/numbers.py                  # writes what stands between the markers of every page
    python docs/numbers.py --from results   # first takes what runs have left in a folder
    python docs/numbers.py --check          # changes nothing, and fails where a page is out of date

Between `<!-- numbers: NAME -->` and `<!-- end -->` stands what NAME is:

    FILE                           all tables of docs/numbers/FILE.json
    FILE / TABLE                   one of them
    FILE / TABLE / ROW / COLUMN    one cell, in a sentence
    a name in named_numbers.py     a table or a phrase that is made of several

Every run leaves such a file (`report/tables.py`), and paper.py one of its own kind. FOUND_IN says
which file in a folder of results becomes which here.
"""

import argparse
import json
import re
import sys
from fnmatch import fnmatchcase
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if __name__ == "__main__":
    sys.path[0] = str(ROOT)  # not docs/, where this file hides the standard library's `numbers`
elif __name__ == "numbers":
    raise ImportError("docs/numbers.py hides Python's own `numbers`: start in another folder")

from docs.named_numbers import DATASETS, NAMED, PAPER_HEAD, as_it_is, cell_text  # noqa: E402
from reverse_correlation.report.tables import text_of  # noqa: E402

FOUND_IN = {
    **{f"main_{dataset}": f"main_{dataset}.json" for dataset in DATASETS},
    **{f"paper_{dataset}": f"paper_{dataset}.json" for dataset in DATASETS},
    "agreement": "compare_mnist_lenet_mnist_alexnet_choice.json",
    "images_per_picture": "images_per_picture.json",
    "calibration": "calibration.json",
    "faces_face": "face/fer.json",
    "faces_grey": "grey/fer.json",
    "imagenet": "imagenet/imagenet.json",
}
MARKED = re.compile(r"(<!-- numbers: (.+?) -->)(.*?)(<!-- end -->)", re.DOTALL)


class Stale(Exception):
    """What is wrong with a page or a file, in a sentence."""


class Numbers:
    """The tables in a folder: {title: {"command", "version", "notes", "rows"}} a file."""

    def __init__(self, folder):
        self.folder = folder

    def tables(self, file):
        """Return the tables of a file, without .json."""
        path = self.folder / f"{file}.json"
        if not path.exists():
            raise Stale(f"{file!r} is neither in docs/numbers/ nor in named_numbers.py")
        return json.loads(path.read_text(encoding="utf-8"))

    def table(self, file, title):
        """Return one table of a file."""
        if title not in self.tables(file):
            raise Stale(f"{file}.json has no table {title!r}")
        return self.tables(file)[title]

    def row(self, file, title, pattern):
        """Return the one row of a table whose label matches a pattern."""
        found = [r for r in self.table(file, title)["rows"][1:] if fnmatchcase(r[0], pattern)]
        if len(found) != 1:
            raise Stale(f"{file}.json, {title!r}, has {len(found)} rows {pattern!r}, and not one")
        return found[0]

    def cell(self, file, title, label, column):
        """Return one cell of a table, as text."""
        head, row = self.table(file, title)["rows"][0], self.row(file, title, label)
        if column not in head[: len(row)]:
            raise Stale(f"{file}.json, {title!r}, {label!r}, has no column {column!r}")
        return cell_text(row[head.index(column)])

    def column(self, file, title, column):
        """Return the numbers with which the cells of a column begin."""
        head, *rows = self.table(file, title)["rows"]
        return [float(str(row[head.index(column)]).split()[0]) for row in rows]

    def paper(self, pattern, *networks, experiment="individuals", datasets=DATASETS):
        """Return what paper.py found in a row, of each network on each data set."""
        patterns = [pattern.format(network) for network in networks or ("",)]
        files = [f"paper_{dataset}" for dataset in datasets]
        return [self.row(file, experiment, each)[2] for file in files for each in patterns]

    def main(self, label, network=""):
        """Return what main.py prints about grey, of each network or of one, on each data set."""
        files = [f"main_{dataset}" for dataset in DATASETS]
        titles = [(file, title) for file in files for title in self.tables(file)]
        return [self.cell(*each, label, "pure noise") for each in titles if network in each[1]]


def text_at(numbers, name):
    """Return what stands between the markers of a name."""
    if name in NAMED:
        return NAMED[name](numbers)
    file, *rest = name.split(" / ")
    if len(rest) not in (0, 1, 3):
        raise Stale(f"{name!r} is neither FILE, FILE / TABLE nor FILE / TABLE / ROW / COLUMN")
    if len(rest) == 3:
        return numbers.cell(file, *rest)
    tables = {title: numbers.table(file, title) for title in rest} or numbers.tables(file)
    above = [None, *tables.values()]
    texts = [as_it_is(*each, before) for each, before in zip(tables.items(), above, strict=False)]
    return "\n\n".join(texts)


def written(text, numbers):
    """Return the text of a page with the numbers that it should have, and the names of the others.

    Raises:
        Stale: if a marker is wrong.
    """
    stale, found = [], MARKED.findall(text)
    if text.count("<!-- numbers: ") != len(found) or any("<!--" in each[2] for each in found):
        raise Stale("a <!-- numbers: NAME --> has no <!-- end -->, or another one before it")

    def replaced(match):
        begin, name, before, end = match.groups()
        after = text_at(numbers, name)
        if "\n" in after:
            after = f"\n{after}\n"
        elif match.start() == 0 or text[match.start() - 1] == "\n":
            raise Stale(
                f"{begin} in a sentence must not begin a line, which would be taken for HTML"
            )
        if after != before:
            stale.append(name)
        return begin + after + end

    return MARKED.sub(replaced, text), stale


def of_paper(name, found):
    """Return the tables of {experiment: {"version", "rows", ...}}, as paper.py leaves it."""
    dataset, tables = name.removeprefix("paper_"), {}
    for experiment, entry in found.items():
        rows = [
            [row["what"], row["published"], row["ours"], *(row["interval"] or (None, None))]
            for row in entry["rows"]
            if not row["detail"]
        ]
        rows = [[float(f"{x:.6g}") if isinstance(x, float) else x for x in row] for row in rows]
        tables[experiment] = {
            "command": f"python paper.py --dataset {dataset} --only {experiment}",
            "version": entry.get("version", "unknown"),
            "rows": [PAPER_HEAD, *rows],
        }
    return tables


def take(folder, numbers):
    """Copy what FOUND_IN names from a folder of results; tables that it lacks stay as they are."""
    for name, source in FOUND_IN.items():
        source, path = folder / source, numbers.folder / f"{name}.json"
        if source.exists():
            found = json.loads(source.read_text(encoding="utf-8"))
            found = of_paper(name, found) if name.startswith("paper_") else found
            before = numbers.tables(name) if path.exists() else {}
            path.write_text(text_of(before | found), encoding="utf-8")
            print(f"{source}: in docs/numbers/{name}.json")


def main(arguments=None, root=ROOT):
    """Read the command line, write the pages or check them; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--from", dest="folder", type=Path, help="folder of results")
    parser.add_argument("--check", action="store_true", help="change nothing")
    asked, numbers, code = parser.parse_args(arguments), Numbers(root / "docs" / "numbers"), 0
    if asked.folder and not asked.check:
        take(asked.folder, numbers)
    for page in (root / "README.md", *sorted((root / "docs").glob("*.md"))):
        name, before = page.relative_to(root), page.read_text(encoding="utf-8")
        try:
            after, stale = written(before, numbers)
            if stale and asked.check:
                listed = ", ".join(f"<!-- numbers: {each} -->" for each in stale)
                raise Stale(f"{listed}: not what docs/numbers/ says; run python docs/numbers.py")
        except Stale as error:
            print(f"{name}: {error}", file=sys.stderr)
            code = 1
            continue
        if stale:
            page.write_text(after, encoding="utf-8")
            print(f"{name}: {', '.join(stale)}")
    return code


if __name__ == "__main__":
    sys.exit(main())
