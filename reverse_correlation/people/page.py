"""The page that runs a study in a browser: one file that needs no other."""

from pathlib import Path

import numpy as np

from reverse_correlation.errors import UserError
from reverse_correlation.files import replacing
from reverse_correlation.people.choices import screen_levels
from reverse_correlation.texts import base64_of, html_of, json_in_page

TEMPLATE = Path(__file__).with_name("page.html")
MOST_BYTES = 1e8  # of the noise in a page, which a browser holds in memory


def write_page(study, path, pause):
    """Write the page of a Study, which proposes a break after every `pause` trials.

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
    data = {
        "id": study.id,
        "seed": study.seed,
        "trials": study.trials,
        "condition": study.condition,
        "pause": pause,
        "shape": study.noise.shape,
        "base": base64_of(base),
        "push": base64_of(push),
    }
    template = TEMPLATE.read_text(encoding="utf-8")
    page = html_of(template, question=study.question, study=json_in_page(data))
    with replacing(path) as part:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(page, encoding="utf-8")
    return clipped_share(base, push)


def clipped_share(base, push):
    """Return the share of pixels that a screen cannot show as they are, of both stimuli."""
    beyond, base = np.abs(push.astype(np.int16)), base.astype(np.int16)
    most = beyond == 127  # as far as `screen_levels` goes
    return float(np.mean([(beyond > room) | most for room in (base, 255 - base)]))
