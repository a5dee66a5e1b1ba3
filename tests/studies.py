"""Studies and the files of participants, as several tests need them."""

import numpy as np

from reverse_correlation.commands import people
from reverse_correlation.commands.flags import read_settings
from reverse_correlation.commands.running import exit_code
from reverse_correlation.commands.settings import MakeSettings, ReadSettings
from reverse_correlation.people.study import Study

COLUMNS = "idx,condition,participant_id,stimulus_id,responses,reaction_time_ms,plus_side,study,seed"


def run_people(capsys, command, *words):
    """Run `people make` or `people read`: (exit code, standard output, last line of the other)."""
    kind, run = {"make": (MakeSettings, people.make), "read": (ReadSettings, people.read)}[command]
    settings = read_settings(kind, f"people {command}", "", [str(word) for word in words])
    code = exit_code(f"people {command}", lambda: run(settings), goes_on=False)
    captured = capsys.readouterr()
    return code, captured.out, captured.err.splitlines()[-1] if captured.err else ""


def make_study(folder, capsys, *flags):
    """Make a small study in a folder by its command."""
    flags = ["--trials", 40, "--size", 8, "--noise-kind", "gaussian", "--out", folder, *flags]
    code, _, error = run_people(capsys, "make", *flags)
    assert code == 0, error
    return Study.load(folder / "study.npz")


def write_csv(path, study, name, choices, **changed):
    """Write a participant's file; `changed` are other values of columns."""
    lines = [COLUMNS]
    for i, choice in enumerate(choices):
        row = {
            "idx": i + 1,
            "condition": study.condition,
            "participant_id": name,
            "stimulus_id": i + 1,
            "responses": int(choice),
            "reaction_time_ms": 700 + i,
            "plus_side": "left" if i % 2 else "right",
            "study": study.id,
            "seed": study.seed,
        }
        lines.append(",".join(map(str, {**row, **changed}.values())))
    path.write_text("\n".join(lines) + "\n")
    return path


def noise_of(study):
    """Return what each trial adds to the base, (trials, pixels)."""
    return np.asarray(study.noise.fluctuation(study.numbers)).reshape(study.trials, -1)


def write_participants(folder, study):
    """Write the files of two simulated participants, ann and bob: their paths, and the template."""
    rng = np.random.default_rng(0)
    flat, template, files = noise_of(study), rng.normal(size=64), []
    for name in ("ann", "bob"):
        drive = flat @ template
        choices = np.sign(drive + 0.5 * drive.std() * rng.normal(size=len(drive)))
        files.append(write_csv(folder / f"{name}.csv", study, name, choices))
    return files, template


def lines_of(path):
    """Return the lines of a text file."""
    return path.read_text().splitlines()
