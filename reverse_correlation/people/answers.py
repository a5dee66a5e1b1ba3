"""The CSV files that a study's page downloads: the answers of its participants."""

import csv
import dataclasses
import math
from pathlib import Path

from reverse_correlation.errors import UserError

COPIED_TRIALS = 20  # two people do not give so many answers alike by chance
COLUMNS = ("idx", "condition", "participant_id", "stimulus_id", "responses")  # as in rcpyci
NUMBERS = ("stimulus_id", "responses", "seed", "reaction_time_ms", "early_presses")
UNKNOWN = ("reaction_time_ms", "early_presses", "plus_side")  # where R may write NA
LEAST_OF_HALF = 2  # trials of even, and of odd, stimulus numbers


@dataclasses.dataclass(frozen=True)
class Answer:
    """One line of a CSV file.

    Attributes:
        file, line: where it stands.
        stimulus: the number of the trial, from 1.
        response: 1 where base plus noise was chosen, -1 where base minus noise was.
        side: where base plus noise stood, "left" or "right"; "" where the file does not say.
        milliseconds: reaction time, or None.
        early: presses before it that were not answers, or None.
        names_study: whether its line says which study it belongs to.
    """

    file: Path
    line: int
    stimulus: int
    response: int
    side: str = ""
    milliseconds: float | None = None
    early: float | None = None
    names_study: bool = False

    @property
    def chose_left(self):
        """Whether the left picture was chosen; None where the file does not say."""
        return (self.side == "left") == (self.response == 1) if self.side else None


def read_answers(files, studies, incomplete=False):
    """Read the answers of all participants: {condition: {participant: [Answer, ...]}}.

    Those of a participant are in the order of stimuli.

    Args:
        files: paths of CSV files, with one or more participants each.
        studies: the Study of each condition; a line belongs to that of its condition.
        incomplete: whether participants may have answered only some of the trials.

    Raises:
        UserError: for anything but one answer of each participant to each trial, or to some.
    """
    found = {study.condition: {} for study in studies}
    for path in files:
        for line, row in rows_of(path):
            study = next((s for s in studies if s.condition == row["condition"]), studies[0])
            refuse_what_is_no_answer(f"{path}, line {line}", row, study, list(found))
            answer, participant = answer_of(path, line, row), row["participant_id"].strip()
            answers = found[study.condition].setdefault(participant, {})
            other = answers.setdefault(answer.stimulus, answer)
            if other is not answer:
                raise UserError(
                    f"{path}, line {line}: {participant} has answered stimulus {answer.stimulus} "
                    f"before, in {other.file}, line {other.line}: keep one of the two, or give one "
                    "of two people another participant_id"
                )
    for study in studies:
        participants = found[study.condition]
        for participant, answers in participants.items():
            refuse_what_cannot_be_measured(participant, answers, study, incomplete)
            participants[participant] = [answers[stimulus] for stimulus in sorted(answers)]
        refuse_copies(participants)
    return found


def rows_of(path):
    """Yield the number of each line of a CSV file and its fields, {column: text}.

    Raises:
        UserError: if it is not a CSV file of choices, or has none.
    """
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            first = file.readline()
            semicolons = first.count(";") > first.count(",")  # Excel's, with decimal commas
            file.seek(0)
            reader = csv.reader(file, strict=True, delimiter=";" if semicolons else ",")
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
            "with commas or semicolons between them, and others may follow"
        )
    for line, fields in rows:
        if len(fields) != len(columns):
            raise UserError(
                f"{path}, line {line}: it has {len(fields)} fields where there are {len(columns)} "
                "columns: mend the line, or download the file again"
            )
        row = dict(zip(columns, fields, strict=True))
        if semicolons:
            row.update({name: with_point(row[name]) for name in NUMBERS if name in row})
        yield line, {k: "" if k in UNKNOWN and v == "NA" else v for k, v in row.items()}


def with_point(text):
    """Return a number that may have a decimal comma as Python reads it; other texts as they are."""
    changed = text.replace(",", ".")
    return text if math.isnan(number_of(changed)) else changed


def refuse_what_is_no_answer(where, row, study, conditions):
    """Raise UserError if a line, {column: text}, is not an answer of somebody to this study."""

    def measured(text):
        return not text or 0 <= number_of(text) < 1e9

    whose = "this study's" if len(conditions) == 1 else "one of these studies'"
    valid = {  # column: (whether a text may stand there, what may)
        "condition": (conditions.__contains__, f"{' or '.join(map(repr, conditions))}, {whose}"),
        "study": (lambda text: text == study.id, f"{study.id}, this study's"),
        "seed": (lambda text: number_of(text) == study.seed, f"{study.seed}, this study's"),
        "participant_id": (str.strip, "a name"),
        "stimulus_id": (
            lambda text: 1 <= number_of(text) <= study.trials and number_of(text).is_integer(),
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
    stimulus, response = (int(float(row[name])) for name in ("stimulus_id", "responses"))
    milliseconds, early = (
        float(row[name]) if row.get(name) else None
        for name in ("reaction_time_ms", "early_presses")
    )
    side = row.get("plus_side", "")
    return Answer(path, line, stimulus, response, side, milliseconds, early, "study" in row)


def refuse_what_cannot_be_measured(participant, answers, study, incomplete):
    """Raise UserError for trials that are missing from {stimulus: Answer}, or answers all alike."""
    given = list(answers.values())
    where = f"{given[0].file}, lines {given[0].line} to {given[-1].line}"
    missing = [i for i in range(1, study.trials + 1) if i not in answers]
    if missing and not incomplete:
        first = ", ".join(map(str, missing[:5])) + (", ..." if len(missing) > 5 else "")
        raise UserError(
            f"{where}: {participant} has {len(answers)} of {study.trials} trials (stimulus {first} "
            "missing): let the participant go on, if that browser still has the session, leave "
            "the file out, or read what there is by --incomplete"
        )
    odd = sum(stimulus % 2 for stimulus in answers)
    if min(odd, len(answers) - odd) < LEAST_OF_HALF:
        raise UserError(
            f"{where}: {participant} has {len(answers)} of {study.trials} trials, and the least is "
            f"{LEAST_OF_HALF} of even and {LEAST_OF_HALF} of odd stimulus numbers: leave the file "
            "out"
        )
    for what, values in (
        ("given the same response", {answer.response for answer in given}),
        ("chosen the picture on the same side", {answer.chose_left for answer in given} - {None}),
    ):
        if len(values) == 1:
            raise UserError(
                f"{where}: {participant} has {what} {len(given)} times: there is nothing to "
                "measure; leave the file out"
            )


def refuse_copies(participants):
    """Raise UserError where two of {participant: [Answer, ...]} gave the very same answers."""
    seen = {}
    for participant, answers in participants.items():
        responses = tuple((answer.stimulus, answer.response) for answer in answers)
        other = seen.setdefault(responses, participant)
        if other != participant and len(answers) >= COPIED_TRIALS:
            raise UserError(
                f"{answers[0].file}, line {answers[0].line}: {participant} has given the same "
                f"{len(answers)} answers as {other} in {participants[other][0].file}: one is a "
                "copy; leave it out"
            )
