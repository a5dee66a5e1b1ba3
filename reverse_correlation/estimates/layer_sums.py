"""Sums of the activity of layers: filters against patches, and logits against activity maps."""

import dataclasses
import math

from keras import ops

from reverse_correlation.estimates.accumulator import Accumulator
from reverse_correlation.estimates.estimate import estimate_from_sums, with_covariance
from reverse_correlation.frameworks import framework

FILTER_SUMS_BYTES = 2.5e8  # memory for a layer's sums; if it is too little, fewer filters are kept


@dataclasses.dataclass(frozen=True, kw_only=True)
class FilterSums(Accumulator):
    """A convolution's activity against the patch of the stimulus that it sees, at all positions.

    Summed over images and positions, activity times patch *is* the gradient of a convolution with
    respect to its filter, with the receptive field as the filter's size and the layer's total
    stride as its stride. Units that see padding are left out; if all do, the one that sees most of
    the image is kept. A layer with many positions needs fewer images, so it is measured on every
    2nd, 4th or 8th block. If the sums of a layer would not fit, only its first filters are
    measured.

    Args:
        windows: (first unit, last + 1, first pixel, pixels) for rows and for columns, see
            `ReceptiveField.windows`.
        stride: of the receptive field, for rows and for columns.
        channels: of a stimulus.
        filters: how many are measured.
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
        """The name under which the sums are kept."""
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
        """Return one accumulator per layer of a Network."""
        height, width, channels = noise.shape
        made = []
        for layer in layers:
            field = network.receptive_field(layer)
            _, *units, filters = network.tapped(layer).shape
            windows = tuple(field.windows((height, width), units))
            patch = math.prod(pixels for *_, pixels in windows) * channels
            fit = max(1, int(FILTER_SUMS_BYTES // (50 * patch)))  # 3 sums in each half, in float64
            positions = math.prod(end - first for first, end, *_ in windows)
            made.append(
                cls(
                    layer=layer,
                    windows=windows,
                    stride=field.stride,
                    channels=channels,
                    filters=min(filters, fit),
                    every=next(k for k in (8, 4, 2, 1) if positions >= 16 * k or k == 1),
                    nonnegative=network.is_rate(layer),
                )
            )
        return made

    def zeros(self):
        """Return the shapes of the sums; `fired` are images in which some unit was active."""
        return {**pair_zeros(self.filters, self.shape), "fired": (self.filters,)}

    def block(self, block):
        """Return the sums of a block."""
        (top, bottom, *_), (left, right, *_) = self.windows
        activity = block[self.layer][:, top:bottom, left:right, : self.filters]
        flat = ops.reshape(activity, (-1, self.filters))
        drawn, units = ops.shape(block["xi"])[0], ops.shape(flat)[0]
        pairs = ops.shape(activity)[0] - drawn
        stimuli, total = block["stimuli"][:drawn], ops.sum(block["stimuli"], 0, keepdims=True)
        # of a stimulus that has no mirror image, the last one, nothing is subtracted
        alone = ops.zeros_like(activity[pairs:drawn])
        mirrored = ops.concatenate([activity[drawn:], alone], axis=0)
        rows, columns = (
            slice(start, start + (end - first - 1) * stride + pixels)
            for (first, end, start, pixels), stride in zip(self.windows, self.stride, strict=True)
        )
        stimuli, total = stimuli[:, rows, columns], total[:, rows, columns]
        triggered = self._correlate(stimuli, activity[:drawn] - mirrored, self.filters)
        fired = ops.max(activity, axis=(1, 2)) > 0
        ones = ops.ones_like(flat[:, :1])
        return {
            "n": ops.cast(units, "float32"),
            "r": ops.matmul(ops.transpose(ones), flat)[0],
            "rr": ops.matmul(ops.transpose(ones), ops.square(flat))[0],
            "x": self._correlate(total, ops.ones((1, *self.counts, 1)), 1)[..., 0],
            "rx": ops.transpose(triggered, (3, 0, 1, 2)),
            "fired": ops.sum(ops.cast(fired, "float32"), axis=0),
        }

    def _correlate(self, stimuli, activity, filters):
        """Sum activity times patch over images and positions: (rf_h, rf_w, c, filters)."""
        if self.counts == [1, 1]:
            patches = ops.reshape(stimuli, (-1, math.prod(self.shape)))
            summed = ops.matmul(ops.transpose(patches), ops.reshape(activity, (-1, filters)))
            return ops.reshape(summed, (*self.shape, filters))
        return framework.filter_sums(stimuli, activity, (*self.shape, filters), self.stride)

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
        shape: (map_h, map_w, 1).
        classes: how many are measured.
        every: as for the layer's FilterSums.
        only: indices of the measured classes; empty for all.
    """

    layer: str
    shape: tuple
    classes: int
    every: int
    only: tuple = ()

    @property
    def name(self):
        """The name under which the sums are kept."""
        return f"maps/{self.layer}"

    @classmethod
    def for_pass(cls, network, noise, layers):
        """Return one accumulator per layer of a Network."""
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
        mean = ops.full((filters, 1), 1 / filters, "float32")
        activity = ops.matmul(ops.reshape(block[self.layer], (-1, filters)), mean)
        logits = ops.take(block["logits"], self.only, axis=1) if self.only else block["logits"]
        return pair_sums(logits, activity, self.shape)

    def finish(self, shard):
        """Add the shard's own covariance."""
        return with_covariance(shard)

    def estimates(self, sums, noise):
        """Return an Estimate over (K, map_h, map_w, 1)."""
        return {"maps": {self.layer: estimate_from_sums(sums, nonnegative=False)}}


def pair_sums(r, x, shape):
    """Return a block's sums of responses r (n, R) and of n signals x of a shape (h, w, c)."""
    x = ops.reshape(x, (-1, math.prod(shape)))
    rows = ops.transpose(ops.concatenate([ops.ones_like(r[:, :1]), r], axis=1))
    rx = ops.matmul(rows, x)  # the first row is the sum of x
    return {
        "n": ops.cast(ops.shape(r)[0], "float32"),
        "r": ops.sum(r, axis=0),
        "rr": ops.sum(ops.square(r), axis=0),
        "x": ops.reshape(rx[0], shape),
        "rx": ops.reshape(rx[1:], (-1, *shape)),
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
