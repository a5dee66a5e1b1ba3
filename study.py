"""A study of people: its page for the browser, its file, and the choices that come back."""

import base64
import csv
import dataclasses
import hashlib
import html
import json
import string
from pathlib import Path

import numpy as np

from reverse_correlation import UserError
from reverse_correlation.estimates.sums import read_sums, write_sums
from reverse_correlation.files import replacing
from reverse_correlation.people.choices import screen_levels, trial_numbers
from reverse_correlation.stimuli.catalogue import kept_fields, restored_ensemble

TEMPLATE = Path(__file__).with_name("people.html")
MOST_BYTES = 1e8  # of the noise in a page, which a browser holds in memory
COPIED_TRIALS = 20  # that two people do not answer alike by chance
COLUMNS = ("idx", "condition", "participant_id", "stimulus_id", "responses")  # rcicr's and rcpyci's


@dataclasses.dataclass(frozen=True)
class Study:
    """What participants are asked and shown.

    Attributes:
        noise: a symmetric ensemble in the range from 0 to 1.
        seed: of the noise.
        trials: how many pairs each participant judges.
        question: that is asked of each pair.
        condition: of the experiment, as the CSV files name it.
    """

    noise: object
    seed: int
    trials: int
    question: str
    condition: str

    @property
    def id(self):
        """Eight letters and digits, which stand for all of it in CSV files."""
        told = [self.noise.describe(), self.seed, self.trials, self.question, self.condition]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:8]

    @property
    def numbers(self):
        """The numbers xi behind the first stimulus of each trial: (trials, *coordinates)."""
        return trial_numbers(self.noise, self.seed, self.trials)

    def save(self, path):
        """Write all that is needed to show the same trials again to a .npz file."""
        told = {name: getattr(self, name) for name in ("seed", "trials", "question", "condition")}
        told["noise"] = self.noise.describe()
        write_sums(path, [], told, kept_fields(self.noise))

    @classmethod
    def load(cls, path):
        """Read what `save` wrote.

        Raises:
            UserError: if the file is not there, or is no study.
        """
        if not Path(path).is_file():
            raise UserError(
                f"there is no study file {path}: name the study.npz that people.py make wrote, by "
                "--study FILE"
            )
        try:
            _, told, fields = read_sums(path)
            noise = restored_ensemble(told.pop("noise")["ensemble"], fields)
            return cls(noise=noise, **told)
        except (UserError, TypeError, KeyError) as error:
            raise UserError(
                f"{path} is no whole study file: name the study.npz that people.py make wrote, or "
                "make it again with the same flags"
            ) from error


# --------------------------------------------------------------------------- the page


def write_page(study, path, pause):
    """Write the page that runs a study in a browser, one file that needs no other.

    Args:
        study: a Study.
        path: of the page.
        pause: trials between two breaks.

    Returns:
        The share of pixels that a screen clips, over both stimuli of all trials.

    Raises:
        UserError: if it would be too large, or cannot be written.
    """
    size = study.trials * int(np.prod(study.noise.shape))
    if size > MOST_BYTES:
        raise UserError(
            f"{study.trials:,} trials of {' x '.join(map(str, study.noise.shape))} pixels would "
            f"make a page of {4e-6 / 3 * size:,.0f} MB: take a smaller --size or fewer --trials"
        )
    base, push = screen_levels(study.noise, study.numbers)
    told = {
        "id": study.id,
        "seed": study.seed,
        "trials": study.trials,
        "condition": study.condition,
        "pause": pause,
        "shape": study.noise.shape,
        "base": base64.b64encode(base.tobytes()).decode(),
        "push": base64.b64encode(push.tobytes()).decode(),
    }
    text = string.Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        question=html.escape(study.question), study=json.dumps(told).replace("<", "\\u003c")
    )
    with replacing(path) as part:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, encoding="utf-8")
    return clipped_share(base, push)


def clipped_share(base, push):
    """Return the share of pixels that a screen cannot show as they are, of both stimuli."""
    beyond, base = np.abs(push.astype(np.int16)), base.astype(np.int16)
    most = beyond == 127  # as far as `screen_levels` goes
    return float(np.mean([(beyond > room) | most for room in (base, 255 - base)]))


# --------------------------------------------------------------------------- choices


@dataclasses.dataclass(frozen=True)
class Answer:
    """One line of a CSV file.

    Attributes:
        file, line: where it stands.
        response: 1 where base plus noise was chosen, -1 where base minus noise was.
        side: where base plus noise stood, "left" or "right"; "" where the file does not say.
        milliseconds: reaction time, or None.
        early: presses before it that were no answers, or None.
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


def read_choices(files, study):
    """Read the choices of all participants: {participant: [Answer, ...]}, in the order of trials.

    Args:
        files: paths of CSV files, with one or more participants each.
        study: the Study.

    Raises:
        UserError: for anything that is not one choice of each participant for each trial.
    """
    people = {}
    for path in files:
        for line, row in rows_of(path):
            where = f"{path}, line {line}"
            participant, stimulus, answer = read_answer(path, line, row, study)
            answers = people.setdefault(participant, {})
            if stimulus in answers:
                other = answers[stimulus]
                raise UserError(
                    f"{where}: {participant} has answered stimulus {stimulus} before, in "
                    f"{other.file}, line {other.line}: keep one of the two, or give one of two "
                    "people another participant_id"
                )
            answers[stimulus] = answer
    for participant, answers in people.items():
        refuse_what_cannot_be_measured(participant, answers, study)
    ordered = {n: [answers[i + 1] for i in range(study.trials)] for n, answers in people.items()}
    refuse_copies(ordered, study)
    return ordered


def rows_of(path):
    """Yield the number of each line of a CSV file and its fields, {column: text}.

    Raises:
        UserError: if there is no such file, it is empty or no CSV file of choices.
    """
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True)
            columns = reader.fieldnames or []
            missing = [name for name in COLUMNS[1:] if name not in columns]
            twice = [name for name in dict.fromkeys(columns) if columns.count(name) > 1]
            if not columns:
                raise UserError(f"{path} is empty: give the file that the page downloaded")
            if missing or twice:
                wrong = f"there is no column {', '.join(missing)}"
                if twice:
                    wrong = f"there are two columns {', '.join(twice)}"
                raise UserError(
                    f"{path}, line 1: {wrong}: the columns are {', '.join(COLUMNS)}, with commas "
                    "between them, and others may follow"
                )
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


def read_answer(path, line, row, study):
    """Read one line: (participant, stimulus, Answer).

    Raises:
        UserError: if it is of another study, or no choice.
    """
    where = f"{path}, line {line}"
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
    participant, stimulus = row["participant_id"].strip(), row["stimulus_id"].strip()
    if not participant:
        raise UserError(f"{where}: its participant_id is empty: give the participant a name")
    if not stimulus.isdecimal() or not 1 <= int(stimulus) <= study.trials:
        raise UserError(
            f"{where}: stimulus {stimulus!r} is none of this study's, which are 1 to "
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
        raise UserError(f"{where}: plus_side is {side!r}: it is left or right")
    counted = {}
    for name in ("reaction_time_ms", "early_presses"):
        counted[name] = number_or_none(row.get(name, ""))
        if row.get(name) and (counted[name] is None or not 0 <= counted[name] < 1e9):
            raise UserError(f"{where}: its {name} is {row[name]!r}: it is a number from 0 up")
    answer = Answer(path, line, int(response), side, *counted.values())
    return participant, int(stimulus), answer


def number_or_none(text):
    """Read a number; None if it is none."""
    try:
        return float(text)
    except ValueError:
        return None


def refuse_what_cannot_be_measured(participant, answers, study):
    """Raise UserError for trials that are missing, or answers that are all the same.

    Args:
        answers: {stimulus: Answer} of one participant.
    """
    given = sorted(answers.values(), key=lambda answer: answer.line)
    where = f"{given[0].file}, lines {given[0].line} to {given[-1].line}"
    missing = [i for i in range(1, study.trials + 1) if i not in answers]
    if missing:
        told = ", ".join(map(str, missing[:5])) + (", ..." if len(missing) > 5 else "")
        raise UserError(
            f"{where}: {participant} has {len(answers)} of {study.trials} trials (stimulus {told} "
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


def refuse_copies(people, study):
    """Raise UserError where two participants have given the very same answers.

    Args:
        people: {participant: [Answer, ...]}, in the order of trials.
    """
    seen = {}
    for participant, answers in people.items():
        responses = tuple(answer.response for answer in answers)
        other = seen.setdefault(responses, participant)
        if other != participant and study.trials >= COPIED_TRIALS:
            raise UserError(
                f"{answers[0].file}, line {answers[0].line}: {participant} has given the same "
                f"{study.trials} answers as {other} in {people[other][0].file}: one is a copy; "
                "leave it out"
            )
