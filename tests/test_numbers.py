"""Numbers of the pages are those of committed files; a page that says others is refused."""

import json
import subprocess
import sys

import pytest

from docs import named_numbers, numbers
from docs.named_numbers import decimal, percent, percent_1, span
from reverse_correlation.report.tables import write_tables

ROWS = [["", "grey", "mean"], ["noise images", "2,048", "4,096"], ["cosine", "0.99"]]
TABLE = """
**net** (`python main.py`, version {version})

2 networks; seed 0

| | grey | mean |
|---|---|---|
| noise images | 2,048 | 4,096 |
| cosine | 0.99 |  |
"""
PAGE = "# Page\n\n<!-- numbers: run / net --><!-- end -->\n\nIt was shown <!-- numbers: {} -->"
CELL = "run / net / noise images / mean"


@pytest.fixture
def root(tmp_path):
    """A repository of two pages and one file of numbers."""
    (tmp_path / "docs/numbers").mkdir(parents=True)
    (tmp_path / "README.md").write_text("Nothing here.\n")
    path = tmp_path / "docs/numbers/run.json"
    write_tables({"net": ROWS}, path, "python main.py", ["2 networks", "seed 0"])
    (tmp_path / "docs/page.md").write_text(PAGE.format(CELL) + "some<!-- end --> images.\n")
    return tmp_path


def test_a_page_gets_its_numbers_and_one_digit_that_is_changed_is_refused(root, capsys):
    page = root / "docs/page.md"
    assert numbers.main([], root) == 0
    said = page.read_text()
    version = json.loads((root / "docs/numbers/run.json").read_text())["net"]["version"]
    assert TABLE.format(version=version) in said and "-->4,096<!-- end --> images.\n" in said
    assert numbers.main(["--check"], root) == 0 and numbers.main([], root) == 0
    capsys.readouterr()

    changed = said.replace("| 2,048 | 4,096 |", "| 2,048 | 4,095 |")
    page.write_text(changed)
    assert numbers.main(["--check"], root) == 1
    assert capsys.readouterr().err == (
        "docs/page.md: <!-- numbers: run / net -->: not what docs/numbers/ says; "
        "run python docs/numbers.py\n"
    )
    assert page.read_text() == changed  # a check changes nothing
    assert numbers.main([], root) == 0 and page.read_text() == said


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("<!-- numbers: run -->", "has no <!-- end -->"),
        (f"a <!-- numbers: run --> <!-- numbers: {CELL} -->1<!-- end -->", "another one before it"),
        ("a <!-- numbers: other -->1<!-- end -->", "'other' is neither in docs/numbers/ nor in"),
        ("<!-- numbers: run / x -->\n<!-- end -->", "run.json has no table 'x'"),
        ("a <!-- numbers: run / net / x -->1<!-- end -->", "is neither FILE, FILE / TABLE nor"),
        ("a <!-- numbers: run / net / x / grey -->1<!-- end -->", "has 0 rows 'x', and not one"),
        ("a <!-- numbers: run / net / * / grey -->1<!-- end -->", "has 2 rows '*', and not one"),
        ("a <!-- numbers: run / net / cosine / mean -->1<!-- end -->", "has no column 'mean'"),
        (f"<!-- numbers: {CELL} -->1<!-- end -->", "must not begin a line"),
    ],
)
def test_a_marker_that_cannot_be_is_refused_with_its_page(root, capsys, text, sentence):
    (root / "README.md").write_text(text + "\n")
    assert numbers.main([], root) == 1
    said = capsys.readouterr().err
    assert said.startswith("README.md: ") and sentence in said, said
    assert (root / "README.md").read_text() == text + "\n"


def test_what_runs_have_left_is_taken_and_what_they_have_not_stays(root, tmp_path, capsys):
    results, kept = tmp_path / "results", root / "docs/numbers"
    results.mkdir()
    write_tables({"LeNet": ROWS, "AlexNet": ROWS}, kept / "main_mnist.json", "before")
    write_tables({"LeNet": ROWS[:2]}, results / "main_mnist.json", "python main.py")
    write_tables({"choice": ROWS}, results / numbers.FOUND_IN["agreement"], "compare")
    row = {"what": "a", "published": None, "ours": 1 / 3, "interval": None, "over": ""}
    rows = [{**row, "detail": False}, {**row, "detail": True}]
    rows.append({**rows[0], "what": "b", "published": 0.5, "interval": [0.25, 0.75]})
    entry = {"identity": {}, "seconds": 1, "version": "9", "rows": rows}
    (results / "paper_fashion_mnist.json").write_text(json.dumps({"mixing": entry}))

    assert numbers.main(["--from", str(results)], root) == 0
    assert capsys.readouterr().out.count("in docs/numbers/") == 3
    read = {path.stem: json.loads(path.read_text()) for path in kept.iterdir()}
    assert read["main_mnist"]["LeNet"]["rows"] == ROWS[:2]
    assert read["main_mnist"]["AlexNet"]["command"] == "before"
    assert read["agreement"]["choice"]["rows"] == ROWS
    mixing = read["paper_fashion_mnist"]["mixing"]
    assert mixing["command"] == "python paper.py --dataset fashion_mnist --only mixing"
    assert mixing["version"] == "9"
    found = [["a", None, 0.333333, None, None], ["b", 0.5, 0.333333, 0.25, 0.75]]
    assert mixing["rows"][1:] == found  # details stay in the results
    table = named_numbers.as_it_is("mixing", mixing)
    assert table.endswith("| a |  | 0.333 |\n| b | 0.500 | 0.333 (0.250 to 0.750) |")


def test_numbers_in_sentences_are_rounded_as_read():
    assert [decimal(x) for x in (0.634, 0.145, -0.016, 1.19)] == [".63", ".15", "-.02", "1.19"]
    assert [percent(x) for x in (0.634, 0.999, 1.0, 0.009, -0.004)] == [
        "63", "99.9", "100", "0.9", "-0.4",
    ]  # fmt: skip
    assert percent_1(0.9915) == "99.2" and percent_1(1.0) == "100"
    assert span([0.5, 0.446, 0.569]) == ".45 to .57" and span([0.633, 0.627]) == ".63"


def test_the_committed_pages_say_what_the_committed_files_say():
    done = subprocess.run(
        [sys.executable, numbers.ROOT / "docs/numbers.py", "--check"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_every_file_and_every_phrase_is_used_by_a_page():
    pages = [numbers.ROOT / "README.md", *(numbers.ROOT / "docs").glob("*.md")]
    names = [found[1] for page in pages for found in numbers.MARKED.findall(page.read_text())]
    for file in (numbers.ROOT / "docs/numbers").glob("*.json"):
        assert any(name.split(" / ")[0] == file.stem for name in names), file
    assert not set(named_numbers.NAMED) - set(names)
