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
from reverse_correlation.estimates import covariance_of, estimate_from_sums

CLASS_SUMS_BYTES = 2e9  # a network with more classes and pixels than this holds is refused
FILTER_SUMS_BYTES = 2.5e8  # of a layer with more, the first filters are measured
RESPONSES = ("decision", "probability", "logit")


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
            block: "stimuli" (n, h, w, c), centred on the ensemble's mean, "logits" (n, K), and the
                activity of each layer by its name.
        """
        raise NotImplementedError

    def finish(self, shard):
        """Return what a shard adds to the total, from its float64 sums: {name: array}."""
        return shard

    def estimates(self, sums):
        """Return what the sums say: {group: {name: Estimate}}.

        Args:
            sums: {name: (2, ...)}, of even and of odd shards, as `finish` returned them.
        """
        raise NotImplementedError

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
    """Decision, probability and logit of every class, against the stimulus.

    Args:
        shape: (h, w, c) of a stimulus.
        classes: how many.

    Raises:
        UserError: if the sums would not fit in memory.
    """

    shape: tuple
    classes: int

    def __post_init__(self):
        """Check the size of the sums."""
        pixels = math.prod(self.shape)
        size = 20 * len(RESPONSES) * self.classes * pixels
        if size > CLASS_SUMS_BYTES:
            raise UserError(
                f"the sums of {self.classes:,} classes over {pixels:,} pixels would take "
                f"{size / 1e9:.1f} GB: measure fewer, by keras.Model(inputs, logits[:, :20])"
            )

    name = "classes"

    @classmethod
    def for_pass(cls, network, noise, layers):
        """Return one, of all classes."""
        return [cls(tuple(noise.shape), network.classes)]

    def zeros(self):
        """Return the shapes of the sums."""
        return pair_zeros(len(RESPONSES) * self.classes, self.shape)

    def block(self, block):
        """Return the sums of a block."""
        logits = block["logits"]
        decision = tf.one_hot(tf.argmax(logits, axis=1), self.classes)
        responses = tf.concat([decision, tf.nn.softmax(logits), logits], axis=1)
        return pair_sums(responses, block["stimuli"], self.shape)

    def estimates(self, sums):
        """Return an Estimate over (K, h, w, c) for each kind of response."""
        kinds = {}
        for i, kind in enumerate(RESPONSES):
            rows = slice(i * self.classes, (i + 1) * self.classes)
            own = {n: v[:, rows] if n in ("r", "rr", "rx") else v for n, v in sums.items()}
            kinds[kind] = estimate_from_sums(own, nonnegative=kind != "logit")
        return {"classes": kinds}


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
        stimuli = block["stimuli"]
        for axis, (_, _, start, pixels) in enumerate(self.windows):
            seen = slice(start, start + (self.counts[axis] - 1) * self.stride[axis] + pixels)
            stimuli = stimuli[:, seen] if axis == 0 else stimuli[:, :, seen]
        total = tf.reduce_sum(stimuli, axis=0, keepdims=True)
        triggered = self._correlate(stimuli, activity, self.filters)
        flat = tf.reshape(activity, (-1, self.filters))
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
        """Add the shard's own covariance and its square: shards are independent of each other."""
        covariance, n = covariance_of(shard), shard["n"]
        return {**shard, "shards": np.float64(1), "nc": n * covariance, "ncc": n * covariance**2}

    def estimates(self, sums):
        """Return an Estimate over (filters, rf_h, rf_w, c)."""
        return {"layers": {self.layer: estimate_from_sums(sums, self.nonnegative)}}


@dataclasses.dataclass(frozen=True, kw_only=True)
class MapSums(Accumulator):
    """The logit of every class, against a layer's activity averaged over filters.

    Args:
        layer: its name.
        shape: (map_h, map_w, 1).
        classes: how many.
        every: of blocks; as for the layer's filters.
    """

    layer: str
    shape: tuple
    classes: int
    every: int

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
                classes=network.classes,
                every=filters.every,
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
        return pair_sums(block["logits"], activity, self.shape)

    def estimates(self, sums):
        """Return an Estimate over (K, map_h, map_w, 1)."""
        return {"maps": {self.layer: estimate_from_sums(sums, nonnegative=False)}}


ACCUMULATORS = (ClassSums, FilterSums, MapSums)


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
        "xx": tf.reshape(tf.matmul(ones, tf.square(x), transpose_a=True), shape),
        "rx": tf.reshape(rx[1:], (-1, *shape)),
    }


def pair_zeros(responses, shape):
    """Return the shapes of the sums that `pair_sums` returns."""
    return {
        "n": (),
        "r": (responses,),
        "rr": (responses,),
        "x": tuple(shape),
        "xx": tuple(shape),
        "rx": (responses, *shape),
    }
