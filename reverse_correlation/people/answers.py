"""The CSV files that a study's page downloads: the answers of its participants."""

import csv
import dataclasses
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
            participant, stimulus, answer = read_answer(path, line, row, study)
            answers = participants.setdefault(participant, {})
            if stimulus in answers:
                other = answers[stimulus]
                raise UserError(
                    f"{path}, line {line}: {participant} has answered stimulus {stimulus} before, "
                    f"in {other.file}, line {other.line}: keep one of the two, or give one of two "
                    "people another participant_id"
                )
            answers[stimulus] = answer
    for participant, answers in participants.items():
        refuse_what_cannot_be_measured(participant, answers, study)
    ordered = {
        participant: [answers[i + 1] for i in range(study.trials)]
        for participant, answers in participants.items()
    }
    refuse_copies(ordered, study)
    return ordered


def rows_of(path):
    """Yield the number of each line of a CSV file and its fields, {column: text}.

    Raises:
        UserError: if there is no such file, or it is empty or not a CSV file of choices.
    """
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True)
            columns = reader.fieldnames or []
            refuse_columns(path, columns)
            empty = True
            for row in reader:
                if None in row or None in row.values():
                    count = sum(v is not None for k, v in row.items() if k) + len(row.get(None, ()))
                    raise UserError(
                        f"{path}, line {reader.line_num}: it has {count} fields where there are "
                        f"{len(columns)} columns: mend the line, or download the file again"
                    )
                empty = False
                yield reader.line_num, row
            if empty:
                raise UserError(f"{path} has no line of choices: leave it out")
    except FileNotFoundError as error:
        raise UserError(f"there is no file {path}") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} cannot be read as a CSV file ({error})") from error


def refuse_columns(path, columns):
    """Raise UserError if the first line of a CSV file does not name the columns of choices."""
    if not columns:
        raise UserError(f"{path} is empty: give the file that the page downloaded")
    missing = [name for name in COLUMNS[1:] if name not in columns]
    twice = [name for name in dict.fromkeys(columns) if columns.count(name) > 1]
    if missing or twice:
        wrong = f"there is no column {', '.join(missing)}"
        if twice:
            wrong = f"there are two columns {', '.join(twice)}"
        raise UserError(
            f"{path}, line 1: {wrong}: the columns are {', '.join(COLUMNS)}, with commas between "
            "them, and others may follow"
        )


def read_answer(path, line, row, study):
    """Read one line: (participant, stimulus, Answer).

    Raises:
        UserError: if it is of another study, or not a choice.
    """
    where = f"{path}, line {line}"
    refuse_another_study(where, row, study)
    participant, stimulus = row["participant_id"].strip(), row["stimulus_id"].strip()
    if not participant:
        raise UserError(f"{where}: its participant_id is empty: give the participant a name")
    if not stimulus.isdecimal() or not 1 <= int(stimulus) <= study.trials:
        raise UserError(
            f"{where}: stimulus {stimulus!r} is not one of this study's, which are 1 to "
            f"{study.trials}: leave the file out, or name its own study by --study FILE"
        )
    response = number_or_none(row["responses"])
    if response not in (1, -1):
        raise UserError(
            f"{where}: the response {row['responses']!r} is neither 1 (base plus noise) nor -1 "
            "(base minus noise): mend the line, or leave the participant out"
        )
    side = row.get("plus_side", "")
    if side not in ("left", "right", ""):
        raise UserError(
            f"{where}: its plus_side is {side!r}, which is neither left nor right: mend the line"
        )
    measured = [measured_number(where, row, name) for name in ("reaction_time_ms", "early_presses")]
    return participant, int(stimulus), Answer(path, line, int(response), side, *measured)


def refuse_another_study(where, row, study):
    """Raise UserError if a line is not of this study and condition."""
    for name, expected in (("study", study.id), ("seed", str(study.seed))):
        if row.get(name, expected) != expected:
            raise UserError(
                f"{where}: its {name} is {row[name]}, but this study's is {expected}: name the "
                "study that it belongs to, by --study FILE, or leave the file out"
            )
    if row["condition"] != study.condition:
        raise UserError(
            f"{where}: its condition is {row['condition']!r}, but this study's is "
            f"{study.condition!r}: analyse conditions one by one"
        )


def measured_number(where, row, name):
    """Return what the page measured, a number from 0 up; None where the file does not say."""
    value = number_or_none(row.get(name, ""))
    if row.get(name) and (value is None or not 0 <= value < 1e9):
        raise UserError(
            f"{where}: its {name} is {row[name]!r}, which is not a number from 0 up: mend the line"
        )
    return value


def number_or_none(text):
    """Return a text as a number; None where it is not one."""
    try:
        return float(text)
    except ValueError:
        return None


def refuse_what_cannot_be_measured(participant, answers, study):
    """Raise UserError for trials that are missing, or answers that are all the same.

    Args:
        participant: the name.
        answers: {stimulus: Answer} of this participant.
        study: the Study.
    """
    given = sorted(answers.values(), key=lambda answer: answer.line)
    where = f"{given[0].file}, lines {given[0].line} to {given[-1].line}"
    missing = [i for i in range(1, study.trials + 1) if i not in answers]
    if missing:
        first = ", ".join(map(str, missing[:5])) + (", ..." if len(missing) > 5 else "")
        raise UserError(
            f"{where}: {participant} has {len(answers)} of {study.trials} trials (stimulus {first} "
            "missing): let the participant go on, if that browser still has the session, or leave "
            "the file out"
        )
    if len({answer.response for answer in given}) == 1:
        raise UserError(
            f"{where}: {participant} has given the same response {study.trials} times: there is "
            "nothing to measure; leave the file out"
        )
    pressed = {answer.chose_left for answer in given} - {None}
    if len(pressed) == 1:
        side = "left" if pressed.pop() else "right"
        raise UserError(
            f"{where}: {participant} has chosen the {side} picture {study.trials} times: there is "
            "nothing to measure; leave the file out"
        )


def refuse_copies(participants, study):
    """Raise UserError where two participants have given the very same answers.

    Args:
        participants: {participant: [Answer, ...]}, in the order of trials.
        study: the Study.
    """
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
