"""The contrast at which an observer still sees the image that noise is about.

Noise that is too strong shows how an observer fails, not what it looks for. So noise about an image
is shown at threshold, as psychophysics does: at the contrast where the observer's own answer to the
image survives in three quarters of the noise (Murray 2011).
"""

import dataclasses
import math

import numpy as np
from keras import ops
from scipy import stats

from reverse_correlation.errors import UserError
from reverse_correlation.observers.observer import refuse_nan

SURVIVE = 0.75  # of the noise images
TOLERANCE = 0.03  # by which the share of those shown last may differ
LARGEST = 1.0  # the standard deviation of a pixel is then the whole input range
OCTAVES = 10  # from there down to the smallest contrast
BISECTIONS = 3  # of the octave in which the answer is lost
BATCHES = (64, 64, 128, 256, 512)  # images shown at a contrast, until it is clear enough
LAST_BATCHES = 4  # of which those that are shown while contrasts are still being tried
CLEAR = 4  # standard errors
FARTHEST = 0.35  # that a fit moves the logarithm of a contrast: half an octave
ROUNDS = 3  # of a last look
VALUES_AT_ONCE = 2**22  # of pixels that are drawn at once
OWN_SEED = 2**33  # added to the seed of the pass, which is below 2**32


@dataclasses.dataclass(frozen=True)
class Threshold:
    """How the contrast was found.

    Attributes:
        contrast: as a share of the input range.
        survive: the share of the noise images that should get the answer.
        survived: the share that does, of those shown last.
        answer: of the observer to the base, among all of its classes.
        images: shown in the search.
        end: "" if there is a threshold; "largest" if the answer survives every contrast, so that
            the usual one was taken; "smallest" if it survives none, so that the smallest was.
    """

    contrast: float
    survive: float
    survived: float
    answer: int
    images: int
    end: str

    def sentence(self, names=()):
        """Say what was found, with the names of all classes, or their numbers."""
        answer = names[self.answer] if len(names) else f"class {self.answer}"
        line = f"contrast {_digits(self.contrast)}: its own answer, {answer}, survives in "
        line += f"{'only ' * (self.end == 'smallest')}{self.survived:.0%} of the noise"
        if self.end == "largest":
            line += f", and as it survives in {self.survive:.0%} or more at every contrast up to "
            line += f"{LARGEST:g}, the largest that fits the input range, the usual one was taken"
        if self.end == "smallest":
            line += "; this is the smallest contrast tried, and was taken: the image lies at the "
            line += "edge of that class"
        return line


def _digits(contrast):
    """Return a contrast with three digits, as .0172."""
    return f"{contrast:.3g}".removeprefix("0")


def needs_contrast(noise):
    """Return whether noise is about an image, and no contrast was asked for."""
    return noise.about_image and not noise.contrast_given


def at_threshold(observer, noise, survive=SURVIVE, seed=0):
    """Return noise about an image at the observer's threshold; its `at_threshold` says how.

    Contrasts are tried from the smallest up, an octave apart; the octave in which the answer is
    lost is bisected on the logarithm, and a psychometric function fitted to the shares gives the
    contrast. Images with numbers of their own then show what share it is, and move the contrast if
    that is off by more than .03. Some 4,000 images in all, and half as many more near 0 and 1.

    Args:
        observer: an Observer that has looked.
        noise: an ensemble about an image.
        survive: the share of the noise images that get the answer to the base, between 0 and 1.
        seed: of the pass; the search draws other numbers.

    Raises:
        UserError: for a share that is not between 0 and 1, or an observer that answers NaN.
    """
    if not 0 < survive < 1:
        raise UserError(f"the share of noise that keeps its answer is between 0 and 1: {survive}")
    search = _Search(observer, noise, survive, OWN_SEED + seed)
    contrast, end = search.contrast()
    survived = search.last_look(contrast)
    for _ in range(ROUNDS - 1):
        if end or abs(survived - survive) <= TOLERANCE:
            break
        contrast = search.on_the_line(contrast)
        survived = search.last_look(contrast)
    found = Threshold(contrast, survive, survived, search.answer, search.images, end)
    return at_contrast(noise, contrast, found)


def at_contrast(noise, contrast, found):
    """Return noise at another contrast, with the Threshold that it was chosen by."""
    shown = dataclasses.replace(noise, contrast=contrast)
    object.__setattr__(shown, "at_threshold", found)
    return shown


class _Search:
    """Shows noise at one contrast after the other, and keeps what was found.

    Attributes:
        answer: to the base.
        images: shown so far.
        at_once: how many of them are drawn at once.
        tried: [(contrast, images shown at it, share that got the answer)].
    """

    def __init__(self, observer, noise, survive, seed):
        self.observer, self.noise, self.survive, self.seed = observer, noise, survive, seed
        base = np.broadcast_to(np.asarray(noise.mean, np.float32), noise.shape)
        self.answer = int(self._answers(base[None])[0])
        self.images, self.tried, self.block = 1, [], 0
        self.at_once = max(2, 2 * (VALUES_AT_ONCE // math.prod(noise.shape) // 2))

    def _answers(self, images):
        logits = self.observer.logits_of(images)
        refuse_nan(self.observer.name, logits)
        return logits.argmax(axis=1)

    def share(self, contrast, batches):
        """Show batches at a contrast until it is clear on which side of the threshold it is."""
        right = shown = 0
        for count in batches:
            for first in range(0, count, self.at_once):
                right += self._kept(contrast, min(self.at_once, count - first))
            shown += count
            error = math.sqrt(self.survive * (1 - self.survive) / shown)
            if abs(right / shown - self.survive) > CLEAR * error:
                break
        self.images += shown
        share = float(right / shown)
        self.tried.append((contrast, shown, share))
        return share

    def _kept(self, contrast, count):
        """Show so many images of a new block at a contrast; return how many got the answer."""
        xi = self.noise.xi(self.seed, self.block, count // 2)
        push = contrast / self.noise.contrast * ops.convert_to_numpy(self.noise.fluctuation(xi))
        stimuli = np.concatenate([self.noise.mean + push, self.noise.mean - push])
        self.block += 1
        return int(np.sum(self._answers(stimuli.astype(np.float32)) == self.answer))

    def contrast(self):
        """Look for the contrast: (contrast, end), see Threshold."""
        batches = BATCHES[:LAST_BATCHES]
        lower = None
        for octave in range(OCTAVES, -1, -1):
            upper = LARGEST / 2**octave
            if self.share(upper, batches) < self.survive:
                break
            lower = upper
        else:
            return self.noise.contrast, "largest"
        if lower is None:
            return _rounded(upper), "smallest"
        for _ in range(BISECTIONS):
            middle = math.sqrt(lower * upper)
            if self.share(middle, batches) < self.survive:
                upper = middle
            else:
                lower = middle
        return self.on_the_line(math.sqrt(lower * upper)), ""

    def on_the_line(self, contrast):
        """Return the contrast, near the given one, that a psychometric function fitted here gives.

        The probit of a share falls linearly with the logarithm of contrast, nearly, within an
        octave; shares are weighted by the precision of their probits.
        """
        near = [each for each in self.tried if 0.5 <= each[0] / contrast <= 2]
        contrasts, shown, shares = map(np.array, zip(*near, strict=True))
        if len(set(contrasts)) < 2:
            return _rounded(contrast)
        shares = np.clip(shares, 0.5 / shown, 1 - 0.5 / shown)
        probits = stats.norm.ppf(shares)
        precision = stats.norm.pdf(probits) * np.sqrt(shown / (shares * (1 - shares)))
        slope, level = np.polyfit(np.log(contrasts / contrast), probits, 1, w=precision)
        if slope >= 0:
            return _rounded(contrast)
        step = (stats.norm.ppf(self.survive) - level) / slope
        return _rounded(contrast * math.exp(np.clip(step, -FARTHEST, FARTHEST)))

    def last_look(self, contrast):
        """Return the share at a contrast, from all batches."""
        return self.share(contrast, [sum(BATCHES)])


def _rounded(contrast):
    """Return a contrast with three digits, so that no machine's last digits are in it."""
    return float(f"{contrast:.3g}")
