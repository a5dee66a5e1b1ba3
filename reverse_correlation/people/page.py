"""The page that runs a study in a browser: one file that needs no other."""

import math
from pathlib import Path

import numpy as np

from reverse_correlation.errors import UserError
from reverse_correlation.files import replacing
from reverse_correlation.people.choices import screen_levels
from reverse_correlation.people.page_texts import PageTexts
from reverse_correlation.texts import base64_of, html_of, html_of_each, json_in_page

TEMPLATE = Path(__file__).with_name("page.html")
MOST_MEGABYTES = 4e2 / 3  # of a page, whose noise a browser holds in memory
NO_TEXTS = PageTexts()
INSTRUCTIONS = (
    "You will see two pictures at a time. Each time, choose the one that answers the question "
    "better. There is no right answer: trust your first impression.",
)
CONSENT = """<div id="consent">$text</div>
    <p><label><input type="checkbox" id="agree" required> I have read this, and agree</label></p>"""


def page_megabytes(study, texts=NO_TEXTS):
    """Return how large the page of a Study will be, in MB."""
    trials = study.trials + texts.practice_trials
    return 4e-6 / 3 * trials * math.prod(study.noise.shape)


def write_page(study, path, pause, texts=NO_TEXTS):
    """Write the page of a Study, which proposes a break after every `pause` trials.

    Args:
        texts: PageTexts that it shows beforehand.

    Returns:
        The share of pixels that a screen clips, over both stimuli of all trials.

    Raises:
        UserError: if it would be too large, or cannot be written.
    """
    size = page_megabytes(study, texts)
    if size > MOST_MEGABYTES:
        raise UserError(
            f"{study.trials:,} trials of {' x '.join(map(str, study.noise.shape))} pixels would "
            f"make a page of {size:,.0f} MB: take a smaller --size or fewer --trials"
        )
    base, push = screen_levels(study.noise, study.numbers)
    page = page_of(study, pause, texts, base, push)
    with replacing(path) as part:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(page, encoding="utf-8")
    return clipped_share(base, push)


def page_of(study, pause, texts, base, push):
    """Return the page of a Study: HTML, with the levels that `screen_levels` returned."""
    practice = study.practice_numbers(texts.practice_trials + 1)  # no levels come of no numbers
    data = {
        "id": study.id,
        "seed": study.seed,
        "trials": study.trials,
        "condition": study.condition,
        "pause": pause,
        "shape": study.noise.shape,
        "base": base64_of(base),
        "push": base64_of(push),
        "practice": texts.practice_trials,
        "practicePush": base64_of(screen_levels(study.noise, practice)[1][:-1]),
    }
    return html_of(
        TEMPLATE.read_text(encoding="utf-8"),
        question=study.question,
        study=json_in_page(data),
        instructions=paragraphs(texts.instructions or INSTRUCTIONS),
        consent=html_of(CONSENT, text=paragraphs(texts.consent)) if texts.consent else "",
        practice=paragraphs(texts.practice),
    )


def paragraphs(texts):
    """Return texts as paragraphs of HTML."""
    return html_of_each('<p class="told">$text</p>', texts)


def clipped_share(base, push):
    """Return the share of pixels that a screen cannot show as they are, of both stimuli."""
    beyond, base = np.abs(push.astype(np.int16)), base.astype(np.int16)
    most = beyond == 127  # as far as `screen_levels` goes
    return float(np.mean([(beyond > room) | most for room in (base, 255 - base)]))
