"""What a study's page tells participants beforehand, from a text file with headings.

    # Instructions
    You will see two faces at a time.

    # Consent
    Your answers are kept without your name. You may stop at any time.

    # Practice 8
    First some trials to get used to it.

An empty line begins a new paragraph. Any of the headings may be left out; the number is that of
practice trials.
"""

import dataclasses
import re

from reverse_correlation.errors import UserError

HEADINGS = ("instructions", "consent", "practice")
MOST_PRACTICE = 100  # trials


@dataclasses.dataclass(frozen=True)
class PageTexts:
    """Paragraphs, tuples of texts, that a page shows; and how many practice trials it has."""

    instructions: tuple = ()
    consent: tuple = ()
    practice: tuple = ()
    practice_trials: int = 0


def read_page_texts(path):
    """Read a file of texts: PageTexts.

    Raises:
        UserError: if it cannot be read, or has other headings, or no text below one.
    """
    try:
        begin, *parts = re.split("(?m)^#+(.*)$", path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"{path} cannot be read as a text file ({error}): save it as plain text in UTF-8"
        ) from error
    if begin.strip() or not parts:
        raise UserError(
            f"{path} is empty, or begins without a heading: write the texts below # Instructions, "
            "# Consent and # Practice 8, or one of them"
        )
    told = {}
    for heading, body in zip(parts[::2], parts[1::2], strict=True):
        name, _, trials = heading.strip().lower().partition(" ")
        trials = int(trials) if trials.strip().isdecimal() else trials
        allowed = range(1, MOST_PRACTICE + 1) if name == "practice" else ("",)
        if name not in HEADINGS or trials not in allowed:
            raise UserError(
                f"{path}: the heading {heading.strip()!r} is not Instructions, Consent or Practice "
                f"with 1 to {MOST_PRACTICE} trials, such as # Practice 8: change it, or begin the "
                "line with another sign"
            )
        if name in told:
            raise UserError(f"{path} has two of # {name.title()}: keep one")
        told[name] = tuple(text.strip() for text in re.split(r"\n\s*\n", body) if text.strip())
        if name == "practice":
            told["practice_trials"] = trials
        elif not told[name]:
            raise UserError(f"{path} has nothing below # {name.title()}: write it, or leave it out")
    return PageTexts(**told)
