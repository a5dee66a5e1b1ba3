"""What a pass sums, and the estimates that the sums give.

An accumulator is a frozen dataclass whose fields JSON can hold; with them and its sums, a saved
measurement gives its estimates again. To measure something new, write one more class here, or
anywhere, and hand it to the pass: `measure(..., accumulators=(*ACCUMULATORS, Mine))`.
"""

import dataclasses
import math

import numpy as np
import tensorflow as tf

from reverse_correlation.errors import UserError
from reverse_correlation.estimates import (
    Estimate,
    VarianceSplit,
    correlations,
    estimate_from_sums,
    spearman_brown,
    with_covariance,
)

CLASS_SUMS_BYTES = 2e9  # a network with more classes and pixels than this holds is refused
FILTER_SUMS_BYTES = 2.5e8  # of a layer with more, the first filters are measured
RESPONSES = ("decision", "probability", "logit")
PAIR_RESPONSES = (*RESPONSES, "choice")  # of ensembles whose stimuli come in mirrored pairs


class Accumulator:
    """What every accumulator says.

    Attributes:
        name: under which its sums are kept; unique within a pass.
        every: it sees only the blocks whose index this divides.
    """

    name, every = "", 1

    @classmethod
    def for_pass(cls, network, noise, layers):
        """Return those of this class that a pass needs.

        Args:
            network: a Network.
            noise: the ensemble.
            layers: names of the layers that are measured; their activity is in each block.
        """
        raise NotImplementedError

    def zeros(self):
        """Return the shapes of the sums: {name: shape}."""
        raise NotImplementedError

    def block(self, block):
        """Return what a block adds: {name: tensor}.

        Args:
            block: "xi" (p, *coordinates), the independent numbers; "stimuli" (n, h, w, c), A xi
                and then the mirror images -A xi of the first n - p of them; "logits" (n, K),
                centred (of labels, 1 for the answer and 0); and each layer's activity by its name.
        """
        raise NotImplementedError

    def finish(self, shard):
        """Return what a shard adds to the total, from its float64 sums: {name: array}."""
        return shard

    def estimates(self, sums, noise):
        """Return what the sums say: {group: {name: Estimate}}.

        Args:
            sums: {name: (2, ...)}, of even and of odd shards, as `finish` returned them.
            noise: the ensemble.
        """
        raise NotImplementedError

    def least_correlation(self, sums, noise):
        """Return the least expected correlation of an image with its truth, so far.

        The pass ends when it is as high as was asked for; None if there is nothing to wait for.
        """
        return None

    def describe(self):
        """Return what JSON can hold and `restored` takes."""
        return {"kind": type(self).__name__, **dataclasses.asdict(self)}


def restored(described, kinds):
    """Make an accumulator of one of some classes again from what its `describe` returned.

    Raises:
        UserError: if its class is not among them.
    """
    fields = dict(described)
    name = fields.pop("kind")
    for kind in kinds:
        if kind.__name__ == name:
            return kind(**fields)
    raise UserError(f"this measurement has sums of {name}: name that class as an accumulator")


@dataclasses.dataclass(frozen=True)
class ClassSums(Accumulator):
    """Decision, probability, logit and choice of every class, against the ensemble's numbers xi.

    Where stimuli come in pairs, x = base + A xi and x' = base - A xi, a response has an odd part
    (r(x) - r(x')) / 2 and an even part (r(x) + r(x')) / 2. Only the odd part covaries with xi, and
    its variance gives the error. `choice` is +1 where the first stimulus of a pair has the larger
    centred logit of the class, and -1 where the second has: two-interval forced choice.

    Args:
        coordinates: the shape of xi.
        classes: how many the network has.
        paired: whether stimuli come with mirror images.
        only: indices of the classes whose sums are kept; empty for all.
        labels: whether the network answers labels alone, so that only decisions are known.
        pixels: of a stimulus.

    Raises:
        UserError: if the sums would not fit in memory.
    """

    coordinates: tuple
    classes: int
    paired: bool = True
    only: tuple = ()
    labels: bool = False
    pixels: int = 0

    def __post_init__(self):
        """Check the size of the sums, and of the images that become of them."""
        numbers = math.prod(self.coordinates)
        size = len(self.responses) * self.measured * (20 * numbers + 16 * self.pixels)
        if size > CLASS_SUMS_BYTES:
            raise UserError(
                f"the sums and images of {self.measured:,} classes over {numbers:,} numbers would "
                f"take {size / 1e9:.1f} GB: measure fewer, by --classes 3 17 207 (only= in Python)"
            )

    name, every = "classes", 1

    @classmethod
    def for_pass(cls, network, noise, layers):
        """Return one, of the classes that are measured."""
        return [
            cls(
                tuple(noise.coordinates),
                network.classes,
                noise.symmetric,
                network.only,
                network.labels,
                math.prod(noise.shape),
            )
        ]

    @property
    def measured(self):
        """How many classes are measured."""
        return len(self.only) or self.classes

    @property
    def responses(self):
        """The kinds of response, in the order of their rows."""
        if self.labels:
            return RESPONSES[:1]
        return PAIR_RESPONSES if self.paired else RESPONSES

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
        drawn = tf.shape(xi)[0]
        pairs = tf.shape(r)[0] - drawn
        if self.paired:
            first, mirrored, xi = r[:pairs], r[drawn:], xi[:pairs]
            odd, even = (first - mirrored) / 2, (first + mirrored) / 2
            if "choice" in self.responses:
                odd = tf.concat([odd, tf.sign(odd[:, 2 * self.measured :])], axis=1)
            total = tf.zeros(self.coordinates)  # each number is shown with both signs
        else:
            odd, even = r, tf.zeros_like(r)
            total = tf.reduce_sum(xi, 0)
        flat = tf.reshape(xi, (-1, math.prod(self.coordinates)))
        return {
            "n": tf.cast(tf.shape(r)[0], tf.float32),
            "pairs": tf.cast(pairs, tf.float32),
            "r": tf.reduce_sum(r, 0),
            "rr": tf.reduce_sum(tf.square(r), 0),
            "e": tf.reduce_sum(even, 0),
            "ee": tf.reduce_sum(tf.square(even), 0),
            "oo": tf.reduce_sum(tf.square(odd), 0),
            "ox": tf.reshape(tf.matmul(odd, flat, transpose_a=True), (-1, *self.coordinates)),
            "x": total,
        }

    def _answers(self, logits):
        """Return decisions, probabilities and logits of the measured classes: (n, rows)."""
        answers = [tf.one_hot(tf.argmax(logits, axis=1), self.classes)]
        if not self.labels:
            answers += [tf.nn.softmax(logits), logits]
        if self.only:
            answers = [tf.gather(each, self.only, axis=1) for each in answers]
        return tf.concat(answers, axis=1)

    def estimates(self, sums, noise):
        """Return an Estimate over (K, h, w, c) for each kind of response."""
        return {
            "classes": {name: self._estimate(name, sums, noise) for name in sorted(self.responses)}
        }

    def least_correlation(self, sums, noise):
        """Return that of the logit and choice images; of labels, of the decision images."""
        waited_for = {"logit", "choice"} & set(self.responses) or self.responses
        return min(
            self._estimate(name, sums, noise, halves=False).expected_correlation.min()
            for name in waited_for
        )

    def _estimate(self, name, sums, noise, halves=True):
        """Return the Estimate of one kind of response."""
        rows = self._rows(name)
        total = {key: value.sum(axis=0) for key, value in sums.items()}
        with np.errstate(divide="ignore", invalid="ignore"):
            coefficients, odd_std, samples = self._coefficients(total, rows)
            mean, std = self._moments(name, total, rows)
            error = odd_std / np.sqrt(samples)
            reliability = np.full(self.measured, np.nan)
            if halves:
                parts = [{key: value[i] for key, value in sums.items()} for i in (0, 1)]
                images = [noise.images(self._coefficients(part, rows)[0]) for part in parts]
                reliability = spearman_brown(correlations(*images))
            variance = self._variance(name, total, coefficients, error) if self.paired else None
        return Estimate(
            covariance=noise.images(coefficients),
            standard_error=error[:, None, None, None] * noise.pixel_std,
            mean_response=mean,
            response_std=std,
            reliability=reliability,
            count=int(total["n"]),
            nonnegative=name in ("decision", "probability"),
            threshold=noise.threshold if halves else np.nan,
            coefficients=coefficients,
            coefficient_error=error,
            weights=noise.weights(coefficients) if halves else None,
            variance=variance,
            null_norm=noise.null_norm if halves else None,
        )

    def _rows(self, name):
        """Return the rows of one kind of response."""
        first = self.responses.index(name) * self.measured
        return slice(first, first + self.measured)

    def _coefficients(self, total, rows):
        """Return the covariance with xi, (K, *coordinates), the odd part's deviation, and its n."""
        if self.paired:
            samples = total["pairs"]
            return total["ox"][rows] / samples, np.sqrt(total["oo"][rows] / samples), samples
        n, r = total["n"], total["r"][rows]
        covariance = (total["ox"][rows] - np.multiply.outer(r, total["x"]) / n) / n
        return covariance, np.sqrt(np.maximum(total["rr"][rows] / n - (r / n) ** 2, 0)), n

    def _moments(self, name, total, rows):
        """Return the mean and standard deviation of a response over all stimuli: (K,), (K,)."""
        if name == "choice":  # one of a pair is chosen: the mean over both is 0
            return np.zeros(self.measured), np.sqrt(total["oo"][rows] / total["pairs"])
        mean = total["r"][rows] / total["n"]
        return mean, np.sqrt(np.maximum(total["rr"][rows] / total["n"] - mean**2, 0))

    def _variance(self, name, total, coefficients, error):
        """Split the variance of a response into linear, odd beyond linear, and even."""
        rows, pairs = self._rows(name), total["pairs"]
        odd = total["oo"][rows] / pairs
        even = np.zeros(self.measured)
        if name != "choice":
            even = total["ee"][rows] / pairs - (total["e"][rows] / pairs) ** 2
        z = coefficients.reshape(self.measured, -1) / error[:, None]
        linear = np.clip((np.sum(z**2, axis=1) - z.shape[1]) / pairs, 0, 1)
        whole = odd + np.maximum(even, 0)
        return VarianceSplit(
            linear=linear * odd / whole, odd=(1 - linear) * odd / whole, even=even / whole
        )


@dataclasses.dataclass(frozen=True)
class ChoiceSums(ClassSums):
    """Choices alone, as of people (see `choices.py`): no pass makes them; the estimates are alike.

    Args:
        coordinates, classes, paired, pixels: as for ClassSums.
    """

    @property
    def responses(self):
        """The kinds of response, in the order of their rows."""
        return PAIR_RESPONSES[-1:]

    @classmethod
    def for_pass(cls, network, noise, layers):
        """Return none: a network's choices are among its ClassSums."""
        return []

    @classmethod
    def of_trials(cls, choices, xi):
        """Return the sums of trials, by turns in two halves: {name: (2, ...)}.

        Args:
            choices: (N,), from -1 to 1.
            xi: (N, *coordinates), of the first stimulus of each pair.
        """
        halves = [(choices[i::2], xi[i::2]) for i in (0, 1)]
        return {
            "n": np.array([2.0 * len(r) for r, _ in halves]),
            "pairs": np.array([float(len(r)) for r, _ in halves]),
            "oo": np.array([[np.sum(r**2)] for r, _ in halves]),
            "ox": np.array([np.tensordot(r, x, 1)[None] for r, x in halves]),
        }


@dataclasses.dataclass(frozen=True, kw_only=True)
class FilterSums(Accumulator):
    """A convolution's activity against the patch of stimulus before it, over all positions.

    Summed over images and positions, activity times patch *is* the gradient of a convolution with
    respect to its filter, with the receptive field as the filter's size and the layer's total
    stride as its stride. Units that see padding are left out; where all do, the one that sees most
    of the image is kept. A layer with many positions needs fewer images: it is measured on every
    2nd, 4th or 8th block. Of a layer whose sums would not fit, the first filters are measured.

    Args:
        layer: its name.
        windows: for rows and columns (first unit, last + 1, first pixel, pixels), see
            `ReceptiveField.windows`.
        stride: of the receptive field, for rows and columns.
        channels: of a stimulus.
        filters: how many are measured.
        every: of blocks.
        nonnegative: whether the activity is a rate.
    """

    layer: str
    windows: tuple
    stride: tuple
    channels: int
    filters: int
    every: int
    nonnegative: bool

    @property
    def name(self):
        """Under which the sums are kept."""
        return f"filters/{self.layer}"

    @property
    def shape(self):
        """(rf_h, rf_w, c) of a patch."""
        return (*(pixels for *_, pixels in self.windows), self.channels)

    @property
    def counts(self):
        """How many rows and columns of units are measured."""
        return [end - first for first, end, *_ in self.windows]

    @classmethod
    def for_pass(cls, network, noise, layers):
        """Return one for each layer."""
        height, width, channels = noise.shape
        made = []
        for layer in layers:
            field, (_, *units, filters) = (
                network.receptive_field(layer),
                network.tapped(layer).shape,
            )
            windows = tuple(field.windows((height, width), units))
            patch = math.prod(pixels for *_, pixels in windows) * channels
            fit = max(1, int(FILTER_SUMS_BYTES // (50 * patch)))  # three sums a half, in float64
            made.append(
                cls(
                    layer=layer,
                    windows=windows,
                    stride=field.stride,
                    channels=channels,
                    filters=min(filters, fit),
                    every=blocks_between(math.prod(end - first for first, end, *_ in windows)),
                    nonnegative=network.is_rate(layer),
                )
            )
        return made

    def zeros(self):
        """Return the shapes of the sums."""
        return {
            "n": (),
            "r": (self.filters,),
            "rr": (self.filters,),
            "x": self.shape,
            "rx": (self.filters, *self.shape),
        }

    def block(self, block):
        """Return the sums of a block."""
        (top, bottom, *_), (left, right, *_) = self.windows
        activity = block[self.layer][:, top:bottom, left:right, : self.filters]
        flat = tf.reshape(activity, (-1, self.filters))
        drawn = tf.shape(block["xi"])[0]
        pairs = tf.shape(activity)[0] - drawn
        stimuli, total = block["stimuli"][:drawn], tf.reduce_sum(block["stimuli"], 0, keepdims=True)
        mirrored = tf.pad(activity[drawn:], ((0, drawn - pairs), (0, 0), (0, 0), (0, 0)))
        for axis, (_, _, start, pixels) in enumerate(self.windows):
            seen = slice(start, start + (self.counts[axis] - 1) * self.stride[axis] + pixels)
            stimuli = stimuli[:, seen] if axis == 0 else stimuli[:, :, seen]
            total = total[:, seen] if axis == 0 else total[:, :, seen]
        triggered = self._correlate(stimuli, activity[:drawn] - mirrored, self.filters)
        ones = tf.ones((1, tf.shape(flat)[0]))
        return {
            "n": tf.cast(tf.shape(flat)[0], tf.float32),
            "r": tf.matmul(ones, flat)[0],
            "rr": tf.matmul(ones, tf.square(flat))[0],
            "x": self._correlate(total, tf.ones((1, *self.counts, 1)), 1)[..., 0],
            "rx": tf.transpose(triggered, (3, 0, 1, 2)),
        }

    def _correlate(self, stimuli, activity, filters):
        """Sum activity times patch over images and positions: (rf_h, rf_w, c, filters)."""
        if self.counts == [1, 1]:
            patches = tf.reshape(stimuli, (-1, math.prod(self.shape)))
            summed = tf.matmul(patches, tf.reshape(activity, (-1, filters)), transpose_a=True)
            return tf.reshape(summed, (*self.shape, filters))
        return tf.raw_ops.Conv2DBackpropFilter(
            input=stimuli,
            filter_sizes=(*self.shape, filters),
            out_backprop=activity,
            strides=(1, *self.stride, 1),
            padding="VALID",
        )

    def finish(self, shard):
        """Add the shard's own covariance."""
        return with_covariance(shard)

    def estimates(self, sums, noise):
        """Return an Estimate over (filters, rf_h, rf_w, c)."""
        return {"layers": {self.layer: estimate_from_sums(sums, self.nonnegative)}}


@dataclasses.dataclass(frozen=True, kw_only=True)
class MapSums(Accumulator):
    """The logit of every class, against a layer's activity averaged over filters.

    Args:
        layer: its name.
        shape: (map_h, map_w, 1).
        classes: how many are measured.
        every: of blocks; as for the layer's filters.
        only: indices of those classes; empty for all.
    """

    layer: str
    shape: tuple
    classes: int
    every: int
    only: tuple = ()

    @property
    def name(self):
        """Under which the sums are kept."""
        return f"maps/{self.layer}"

    @classmethod
    def for_pass(cls, network, noise, layers):
        """Return one for each layer."""
        return [
            cls(
                layer=filters.layer,
                shape=(*network.tapped(filters.layer).shape[1:3], 1),
                classes=len(network.measured),
                every=filters.every,
                only=network.only,
            )
            for filters in FilterSums.for_pass(network, noise, layers)
        ]

    def zeros(self):
        """Return the shapes of the sums."""
        return pair_zeros(self.classes, self.shape)

    def block(self, block):
        """Return the sums of a block."""
        filters = block[self.layer].shape[-1]
        mean = tf.fill((filters, 1), 1 / filters)
        activity = tf.matmul(tf.reshape(block[self.layer], (-1, filters)), mean)
        logits = tf.gather(block["logits"], self.only, axis=1) if self.only else block["logits"]
        return pair_sums(logits, activity, self.shape)

    def finish(self, shard):
        """Add the shard's own covariance."""
        return with_covariance(shard)

    def estimates(self, sums, noise):
        """Return an Estimate over (K, map_h, map_w, 1)."""
        return {"maps": {self.layer: estimate_from_sums(sums, nonnegative=False)}}


ACCUMULATORS = (ClassSums, FilterSums, MapSums, ChoiceSums)


def blocks_between(positions):
    """Return of how many blocks one is enough for a layer with so many positions an image."""
    return next(k for k in (8, 4, 2, 1) if positions >= 16 * k or k == 1)


def pair_sums(r, x, shape):
    """Return the sums over a block of responses r (n, R) and signals x, each shaped (h, w, c)."""
    x = tf.reshape(x, (-1, math.prod(shape)))
    ones = tf.ones((tf.shape(r)[0], 1))
    rx = tf.matmul(tf.concat([ones, r], axis=1), x, transpose_a=True)  # its first row is sum of x
    return {
        "n": tf.cast(tf.shape(r)[0], tf.float32),
        "r": tf.reduce_sum(r, 0),
        "rr": tf.reduce_sum(tf.square(r), 0),
        "x": tf.reshape(rx[0], shape),
        "rx": tf.reshape(rx[1:], (-1, *shape)),
    }


def pair_zeros(responses, shape):
    """Return the shapes of the sums that `pair_sums` returns."""
    return {
        "n": (),
        "r": (responses,),
        "rr": (responses,),
        "x": tuple(shape),
        "rx": (responses, *shape),
    }
