"""The CSV files that a study's page downloads: the answers of its participants."""

import csv
import dataclasses
import math
from pathlib import Path

from reverse_correlation.errors import UserError

COPIED_TRIALS = 20  # two people do not give so many answers alike by chance
COLUMNS = ("idx", "condition", "participant_id", "stimulus_id", "responses")  # rcicr's and rcpyci's


@dataclasses.dataclass(frozen=True)
class Answer:
    """One line of a CSV file.

    Attributes:
        file, line: where it stands.
        response: 1 where base plus noise was chosen, -1 where base minus noise was.
        side: where base plus noise stood, "left" or "right"; "" where the file does not say.
        milliseconds: reaction time, or None.
        early: presses before it that were not answers, or None.
    """

    file: Path
    line: int
    response: int
    side: str
    milliseconds: float | None
    early: int | None

    @property
    def chose_left(self):
        """Whether the left picture was chosen; None where the file does not say."""
        return (self.side == "left") == (self.response == 1) if self.side else None


def read_answers(files, study):
    """Read the answers of all participants: {participant: [Answer, ...]}, in the order of trials.

    Args:
        files: paths of CSV files, with one or more participants each.
        study: the Study.

    Raises:
        UserError: for anything but one answer of each participant to each trial.
    """
    participants = {}
    for path in files:
        for line, row in rows_of(path):
            refuse_what_is_no_answer(f"{path}, line {line}", row, study)
            participant, stimulus = row["participant_id"].strip(), int(row["stimulus_id"])
            answer = answer_of(path, line, row)
            other = participants.setdefault(participant, {}).setdefault(stimulus, answer)
            if other is not answer:
                raise UserError(
                    f"{path}, line {line}: {participant} has answered stimulus {stimulus} before, "
                    f"in {other.file}, line {other.line}: keep one of the two, or give one of two "
                    "people another participant_id"
                )
    for participant, answers in participants.items():
        refuse_what_cannot_be_measured(participant, answers, study)
    ordered = {
        participant: [answers[stimulus] for stimulus in sorted(answers)]
        for participant, answers in participants.items()
    }
    refuse_copies(ordered, study)
    return ordered


def rows_of(path):
    """Yield the number of each line of a CSV file and its fields, {column: text}.

    Raises:
        UserError: if it is not a CSV file of choices, or has none.
    """
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True)
            columns = next(reader, [])
            rows = [(reader.line_num, fields) for fields in reader if fields]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(
            f"{path} cannot be read as a CSV file ({error}): give what the page downloaded"
        ) from error
    if not rows:
        raise UserError(f"{path} has no line of choices: leave it out")
    wrong = [f"no column {name}" for name in COLUMNS[1:] if name not in columns]
    wrong += [f"two columns {name}" for name in dict.fromkeys(columns) if columns.count(name) > 1]
    if wrong:
        raise UserError(
            f"{path}, line 1: it has {', '.join(wrong)}: the columns are {', '.join(COLUMNS)}, "
            "with commas between them, and others may follow"
        )
    for line, fields in rows:
        if len(fields) != len(columns):
            raise UserError(
                f"{path}, line {line}: it has {len(fields)} fields where there are {len(columns)} "
                "columns: mend the line, or download the file again"
            )
        yield line, dict(zip(columns, fields, strict=True))


def refuse_what_is_no_answer(where, row, study):
    """Raise UserError if a line, {column: text}, is not an answer of somebody to this study."""

    def measured(text):
        return not text or 0 <= number_of(text) < 1e9

    valid = {  # column: (whether a text may stand there, what may)
        "study": (lambda text: text == study.id, f"{study.id}, this study's"),
        "seed": (lambda text: text == str(study.seed), f"{study.seed}, this study's"),
        "condition": (lambda text: text == study.condition, f"{study.condition!r}, this study's"),
        "participant_id": (str.strip, "a name"),
        "stimulus_id": (
            lambda text: text.strip().isdecimal() and 1 <= int(text) <= study.trials,
            f"one of this study's, 1 to {study.trials}",
        ),
        "responses": (
            lambda text: number_of(text) in (1, -1),
            "1 (base plus noise) or -1 (base minus noise)",
        ),
        "plus_side": (lambda text: text in ("left", "right", ""), "left or right"),
        "reaction_time_ms": (measured, "a number from 0 up"),
        "early_presses": (measured, "a number from 0 up"),
    }
    for name, (is_valid, what) in valid.items():
        if name in row and not is_valid(row[name]):
            raise UserError(
                f"{where}: its {name} is {row[name]!r}, which is not {what}: mend the line, leave "
                "the file out, or name the study that it belongs to by --study FILE"
            )


def number_of(text):
    """Return a text as a number; NaN where it is not one."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def answer_of(path, line, row):
    """Return the Answer in a line, {column: text}."""
    response, side = int(float(row["responses"])), row.get("plus_side", "")
    milliseconds, early = (
        float(row[name]) if row.get(name) else None
        for name in ("reaction_time_ms", "early_presses")
    )
    return Answer(path, line, response, side, milliseconds, early)


def refuse_what_cannot_be_measured(participant, answers, study):
    """Raise UserError for trials that are missing from {stimulus: Answer}, or answers all alike."""
    given = list(answers.values())
    where = f"{given[0].file}, lines {given[0].line} to {given[-1].line}"
    missing = [i for i in range(1, study.trials + 1) if i not in answers]
    if missing:
        first = ", ".join(map(str, missing[:5])) + (", ..." if len(missing) > 5 else "")
        raise UserError(
            f"{where}: {participant} has {len(answers)} of {study.trials} trials (stimulus {first} "
            "missing): let the participant go on, if that browser still has the session, or leave "
            "the file out"
        )
    for what, values in (
        ("given the same response", {answer.response for answer in given}),
        ("chosen the picture on the same side", {answer.chose_left for answer in given} - {None}),
    ):
        if len(values) == 1:
            raise UserError(
                f"{where}: {participant} has {what} {study.trials} times: there is nothing to "
                "measure; leave the file out"
            )


def refuse_copies(participants, study):
    """Raise UserError where two of {participant: [Answer, ...]} gave the very same answers."""
    seen = {}
    for participant, answers in participants.items():
        responses = tuple(answer.response for answer in answers)
        other = seen.setdefault(responses, participant)
        if other != participant and study.trials >= COPIED_TRIALS:
            raise UserError(
                f"{answers[0].file}, line {answers[0].line}: {participant} has given the same "
                f"{study.trials} answers as {other} in {participants[other][0].file}: one is a "
                "copy; leave it out"
            )
