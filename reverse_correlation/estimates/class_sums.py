"""Sums of the responses of classes: decision, probability, logit and choice."""

import dataclasses
import math

import numpy as np
from keras import ops

from reverse_correlation.errors import UserError
from reverse_correlation.estimates.accumulator import Accumulator
from reverse_correlation.estimates.correlation import split_half
from reverse_correlation.estimates.estimate import Estimate, VarianceSplit
from reverse_correlation.estimates.sums import EPSILON, covariance_of, moments, whole_and_halves
from reverse_correlation.frameworks import framework
from reverse_correlation.stimuli.orthogonal import ROWS

CLASS_SUMS_BYTES = 2e9  # memory for the sums and images of classes, at most
RESPONSES = ("decision", "probability", "logit", "choice")  # the last if stimuli come in pairs
PER_PASS = ("n", "pairs", "x", "blocks")  # sums that are not of one response


@dataclasses.dataclass(frozen=True)
class ClassSums(Accumulator):
    """Decision, probability, logit and choice of every class, against the ensemble's numbers xi.

    If stimuli come in pairs, x = base + A xi and x' = base - A xi, a response has an odd part
    (r(x) - r(x')) / 2 and an even part (r(x) + r(x')) / 2. Only the odd part covaries with xi, and
    its variance gives the error. `choice` is +1 if the first stimulus of a pair has the larger
    logit of the class, and -1 if the second has: two-interval forced choice.

    Args:
        coordinates: the shape of xi.
        classes: how many the observer has.
        paired: whether stimuli come with mirror images.
        only: indices of the classes whose sums are kept; empty for all.
        labels: whether the observer answers only labels, so that only decisions are known.
        pixels: how many a stimulus has, over all channels.
        independent: whether each class is a label of its own. Its logit is then the log-odds, its
            probability their sigmoid, and its decision whether that is above a half.

    Raises:
        UserError: if the sums would not fit in memory.
    """

    coordinates: tuple
    classes: int
    paired: bool = True
    only: tuple = ()
    labels: bool = False
    pixels: int = 0
    orthogonal: int = 0
    independent: bool = False
    name = "classes"

    def __post_init__(self):
        """Check the size of the sums and of the images made from them."""
        numbers = math.prod(self.coordinates)
        size = len(self.responses) * self.measured * (20 * numbers + 16 * self.pixels)
        if size > CLASS_SUMS_BYTES:
            raise UserError(
                f"the sums and images of {self.measured:,} classes over {numbers:,} numbers would "
                f"take {size / 1e9:.1f} GB: measure fewer classes, for example with --classes 3 17 "
                "207 (only= in Python)"
            )

    @classmethod
    def for_pass(cls, observer, noise, layers):
        """Return one accumulator, for the measured classes."""
        return [
            cls(
                tuple(noise.coordinates),
                observer.classes,
                noise.symmetric,
                observer.only,
                observer.labels,
                math.prod(noise.shape),
                noise.orthogonal_coordinates,
                observer.independent,
            )
        ]

    @property
    def measured(self):
        """How many classes are measured."""
        return len(self.only) or self.classes

    @property
    def responses(self):
        """The responses that are known, in the order of their rows."""
        if self.labels:
            return RESPONSES[:1]
        return RESPONSES if self.paired else RESPONSES[:-1]

    def zeros(self):
        """Return the shapes of the sums."""
        odd = len(self.responses) * self.measured
        every = odd - ("choice" in self.responses) * self.measured
        return {
            "n": (),
            "pairs": (),
            "r": (every,),
            "rr": (every,),
            "e": (every,),
            "ee": (every,),
            "oo": (odd,),
            "ox": (odd, *self.coordinates),
            "x": tuple(self.coordinates),
        }

    def block(self, block):
        """Return the sums of a block."""
        r, xi = self._answers(block["logits"]), block["xi"]
        drawn, shown = ops.shape(xi)[0], ops.shape(r)[0]
        pairs = shown - drawn
        if self.paired:
            first, mirrored, xi = r[:pairs], r[drawn:], xi[:pairs]
            odd, even = (first - mirrored) / 2, (first + mirrored) / 2
            if "choice" in self.responses:
                odd = ops.concatenate([odd, ops.sign(odd[:, 2 * self.measured :])], axis=1)
            total = ops.zeros(self.coordinates)  # every number is shown with both signs
        else:
            odd, even = r, ops.zeros_like(r)
            total = ops.sum(xi, axis=0)
        flat = ops.reshape(xi, (-1, math.prod(self.coordinates)))
        return {
            "n": ops.cast(shown, "float32"),
            "pairs": ops.cast(pairs, "float32"),
            "r": ops.sum(r, axis=0),
            "rr": ops.sum(ops.square(r), axis=0),
            "e": ops.sum(even, axis=0),
            "ee": ops.sum(ops.square(even), axis=0),
            "oo": ops.sum(ops.square(odd), axis=0),
            "ox": ops.reshape(framework.product(ops.transpose(odd), flat), (-1, *self.coordinates)),
            "x": total,
        }

    def _answers(self, logits):
        """Return decisions, probabilities and logits of the measured classes: (n, rows)."""
        if self.independent:
            answers = [ops.cast(logits > 0, "float32"), ops.sigmoid(logits), logits]
        else:
            answers = [ops.one_hot(ops.argmax(logits, axis=1), self.classes)]
            answers += [] if self.labels else [ops.softmax(logits), logits]
        if self.only:
            answers = [ops.take(rows, self.only, axis=1) for rows in answers]
        return ops.concatenate(answers, axis=1)

    def finish(self, shard):
        """Add what the coefficients leave unexplained, of a whole block of orthogonal numbers.

        There, c = sum of r xi / n has no error but that of the residual e of r: the sum of e**2 is
        that of r**2 less n |c|**2, with n minus as many degrees of freedom as there are
        coefficients. The moments between blocks give the error of the share that is linear.
        """
        if not self.orthogonal:
            return shard
        whole = float(shard["pairs"] == ROWS)
        flat = shard["ox"].reshape(len(shard["oo"]), -1)[:, : self.orthogonal]
        explained = np.sum(flat**2, axis=1) / ROWS
        residual = np.maximum(shard["oo"] - explained, EPSILON * shard["oo"])
        residual *= whole / (ROWS - self.orthogonal)
        power = whole * shard["oo"] / ROWS
        return {
            **shard,
            "blocks": np.float64(whole),
            "residual": residual,
            "residual2": residual**2,
            "power": power,
            "power2": power**2,
            "both": residual * power,
        }

    def estimates(self, sums, noise):
        """Return an Estimate over (K, h, w, c) for each response."""
        named = {name: self._estimate(name, sums, noise) for name in sorted(self.responses)}
        return {"classes": named}

    def least_correlation(self, sums, noise):
        """Return the least for logit and choice images; of labels alone, for decision images."""
        waited_for = {"logit", "choice"} & set(self.responses) or self.responses
        return min(
            self._estimate(name, sums, noise, halves=False).expected_correlation.min()
            for name in waited_for
        )

    def _estimate(self, name, sums, noise, halves=True):
        """Return the Estimate of one response; without halves, what `least_correlation` needs."""
        first = self.responses.index(name) * self.measured
        rows = slice(first, first + self.measured)
        total, *parts = (
            {key: v if key in PER_PASS else v[rows] for key, v in part.items()}
            for part in whole_and_halves(sums)
        )
        samples = total["pairs" if self.paired else "n"]
        reliability = np.full(self.measured, np.nan)
        with np.errstate(divide="ignore", invalid="ignore"):
            coefficients, odd_std = self._coefficients(total), np.sqrt(total["oo"] / samples)
            if name == "choice":  # one stimulus of each pair is chosen, so the mean over both is 0
                mean, std = np.zeros(self.measured), odd_std
            else:
                mean, std = moments(total)
            rest = (odd_std if self.paired else std) / np.sqrt(samples)
            error = self._error(total, rest)
            share = noise.orthogonal_power if self.orthogonal else 0.0
            variance_of_pixels = noise.pixel_std**2 * (
                np.multiply.outer(error**2, share) + np.multiply.outer(rest**2, 1 - share)
            ).reshape(self.measured, *np.shape(share) or (1, 1, 1))
            power = np.sum(noise.pixel_std**2)
            pooled = np.sqrt(variance_of_pixels.sum(axis=(1, 2, 3)) / power)
            if halves:
                images = [noise.images(self._coefficients(part)) for part in parts]
                reliability = split_half(*images)
            variance = self._variance(name, total, coefficients, rest) if self.paired else None
        return Estimate(
            covariance=noise.images(coefficients),
            standard_error=np.sqrt(variance_of_pixels),
            mean_response=mean,
            response_std=std,
            reliability=reliability,
            count=int(total["n"]),
            nonnegative=name in ("decision", "probability"),
            threshold=noise.threshold if halves else np.nan,
            coefficients=coefficients,
            coefficient_error=pooled,
            errors_apart=np.stack([error, rest]),
            weights=noise.weights(coefficients) if halves else None,
            variance=variance,
            null_norm=noise.null_norm if halves else None,
            block=2 * ROWS if total.get("blocks", 0) else 0,
            coefficient_errors=np.stack([error, rest], axis=1),
            noise=noise,
        )

    def _coefficients(self, sums):
        """Return the covariance with xi, (K, *coordinates), from one response's sums."""
        if self.paired:
            return sums["ox"] / sums["pairs"]
        return covariance_of({**sums, "rx": sums["ox"]})

    def _error(self, total, rest):
        """Return the standard error of orthogonal coefficients, (K,).

        Args:
            total: the sums of one response.
            rest: (K,), that of independent coefficients, and of blocks that are not whole.
        """
        blocks = total.get("blocks", 0)
        if not blocks:
            return rest
        whole = blocks * ROWS / total["pairs"]
        residual = total["residual"] / blocks / total["pairs"]
        return np.sqrt(whole * residual + (1 - whole) * rest**2)

    def _variance(self, name, total, coefficients, rest):
        """Split the variance of a response into linear, other odd, and even parts."""
        pairs, even = total["pairs"], np.zeros(self.measured)
        odd = total["oo"] / pairs
        if name != "choice":
            even = total["ee"] / pairs - (total["e"] / pairs) ** 2
        blocks = total.get("blocks", 0)
        linear, error = np.zeros(self.measured), np.zeros(self.measured)
        z2 = (coefficients.reshape(self.measured, -1) / rest[:, None]) ** 2
        if blocks:  # of whole blocks the residual tells; of the other coordinates, as below
            ratio, z2 = total["residual"] / total["power"], z2[:, self.orthogonal :]
            linear = 1 - ratio
            spread = total["residual2"] - 2 * ratio * total["both"] + ratio**2 * total["power2"]
            spread = np.maximum(spread, 0)  # below 0 by rounding, where all is linear
            error = spread * blocks / max(blocks - 1, 1) / total["power"] ** 2
            if blocks == 1:
                error = 2 * ratio**2 * (1 / (ROWS - self.orthogonal) + 1 / ROWS)
        share = (np.sum(z2, axis=1) - z2.shape[1]) / pairs  # E z**2 is 1 where there is no signal
        linear = linear + share
        error = error + (2 * z2.shape[1] + 4 * pairs * np.maximum(share, 0)) / pairs**2
        of_odd = odd / (odd + np.maximum(even, 0))
        return VarianceSplit(
            linear=linear * of_odd,
            odd=(1 - linear) * of_odd,
            even=1 - of_odd,
            linear_error=np.sqrt(np.maximum(error, 0)) * of_odd,  # rounding of a linear observer
        )


@dataclasses.dataclass(frozen=True)
class ChoiceSums(ClassSums):
    """Sums of choices alone, as those of people (see `people/choices.py`); no pass makes them."""

    @property
    def responses(self):
        """The responses that are known, in the order of their rows."""
        return RESPONSES[-1:]

    @classmethod
    def of_trials(cls, choices, xi):
        """Return the sums of trials, assigned to two halves in turn: {name: (2, ...)}.

        Args:
            choices: (N,), from -1 to 1; trials without an answer are NaN, and left out.
            xi: (N, *coordinates), the numbers behind the first stimulus of each pair.
        """
        halves = [(choices[i::2], xi[i::2]) for i in (0, 1)]
        halves = [(r[~np.isnan(r)], x[~np.isnan(r)]) for r, x in halves]
        return {
            "n": np.array([2.0 * len(r) for r, _ in halves]),
            "pairs": np.array([float(len(r)) for r, _ in halves]),
            "oo": np.array([[np.sum(r**2)] for r, _ in halves]),
            "ox": np.array([np.tensordot(r, x, 1)[None] for r, x in halves]),
        }
