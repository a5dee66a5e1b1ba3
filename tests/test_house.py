"""The rules of the house: arrows point down, nothing goes in circles, workers travel light."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "reverse_correlation"
# a room may import those that stand below it, and files that stand in no room
ROOMS = (
    "frameworks",
    "stimuli",
    "observers",
    "figures",
    "estimates",
    "passes",
    "people",
    "report",
    "commands",
)
ABOVE = {"figures": ("observers", "stimuli", "estimates"), "report": ("people",)}
SCRIPTS = ("main", "paper", "analysis", "figures", "training", "data", "noise", "experiments")


def imported(path, at_top=False):
    """The modules that a file imports: (names, line)."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body if at_top else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room_of(module):
    parts = module.split(".")
    return parts[1] if parts[0] == "reverse_correlation" and len(parts) > 1 else ""


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_what_stands_below_it(room):
    for path in (PACKAGE / room).glob("*.py"):
        for module in imported(path, at_top=True):
            other = room_of(module)
            if other in ROOMS:
                below = ROOMS.index(other) <= ROOMS.index(room)
                assert below and other not in ABOVE.get(room, ()), f"{path.name}: {module}"


def test_the_package_knows_nothing_of_the_experiment():
    for path in PACKAGE.rglob("*.py"):
        found = {module.split(".")[0] for module in imported(path)} & set(SCRIPTS)
        assert not found, f"{path}: {found}"


def test_a_frameworks_own_calls_are_in_its_own_file():
    own = {"frameworks/tensorflow.py", "frameworks/torch.py", "frameworks/jax.py", "backend.py"}
    for path in PACKAGE.rglob("*.py"):
        found = {module.split(".")[0] for module in imported(path)} & {"tensorflow", "torch", "jax"}
        assert not found or path.relative_to(PACKAGE).as_posix() in own, f"{path}: {found}"


def test_every_framework_has_the_names_that_the_folder_says():
    folder = PACKAGE / "frameworks"
    said = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8")))
    for framework in ("tensorflow", "torch", "jax"):
        tree = ast.parse((folder / f"{framework}.py").read_text(encoding="utf-8"))
        names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        for target in (
            t for node in tree.body if isinstance(node, ast.Assign) for t in node.targets
        ):
            names |= {part.id for part in ast.walk(target) if isinstance(part, ast.Name)}
        listed = set(re.findall(r"^    (\w+)\(|^    (NAME), (VERSION)", said, re.M))
        assert {n for n in names if n[0] != "_"} == {n for each in listed for n in each if n}


def test_no_script_imports_a_script():
    for path in (*ROOT.glob("*.py"), *(ROOT / "experiments").glob("*.py")):
        assert not {"main", "paper"} & set(imported(path)), path.name


def test_modules_of_the_package_do_not_import_each_other_in_circles():
    names = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for path in PACKAGE.rglob("*.py")
    }
    arrows = {
        name: {module for module in imported(path, at_top=True) if module in names} - {name}
        for name, path in names.items()
    }
    left = {name: below - {"reverse_correlation"} for name, below in arrows.items()}
    while free := [name for name, below in left.items() if not below]:
        left = {name: below - set(free) for name, below in left.items() if name not in free}
    assert not left, f"these import each other: {sorted(left)}"


def test_what_a_worker_computes_with_draws_no_figures(processes):
    code = (
        "import sys; from reverse_correlation.passes import worker, noise_pass;"
        "import reverse_correlation.estimates.measurement;"
        "sys.exit('reverse_correlation.figures' in sys.modules)"  # Keras imports matplotlib itself
    )
    assert processes.python(code, stderr=subprocess.DEVNULL).wait(timeout=60) == 0


def test_the_command_line_is_read_before_anything_heavy_is_imported(processes):
    code = "import sys, reverse_correlation.__main__; sys.exit('numpy' in sys.modules)"
    assert processes.start(sys.executable, "-c", code).wait(timeout=60) == 0
