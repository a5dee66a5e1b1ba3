"""Reverse correlation: one pass of noise through a network, the sums it leaves, their estimates.

A classification image and a spike-triggered average are the same thing, the covariance of a
stimulus x with a response r,

    c = cov(r, x) = E[(r - E r)(x - E x)],

where r is the decision, probability or logit of a class, or the activity of a filter. All of it
comes from sums (N, sum of r, r**2, x, x**2, r x), and sums add: over blocks, over shards, over a
restart. The pass therefore needs the same memory for a thousand images and for a billion.
"""

import dataclasses
import json
import math
import sys

import keras
import numpy as np
import tensorflow as tf
from scipy import stats
from tqdm import tqdm

BLOCK_IMAGES = 1000  # stimuli drawn, shown and summed at once, in float32
SHARD_BLOCKS = 5  # blocks of one graph call; shards are added in float64, in order
RESPONSES = ("decision", "probability", "logit")


# --------------------------------------------------------------------------- what is estimated


@dataclasses.dataclass(frozen=True)
class Estimate:
    """The covariance of R responses with a stimulus (or another map) of shape (h, w, c).

    Attributes:
        covariance: (R, h, w, c), in units of response times pixel value.
        mean_response, response_std: (R,).
        z: (R, h, w, c), covariance over its standard error; standard normal where the pixel does
            not influence the response, NaN where the response never varied.
        reliability: (R,), correlation of the images of even and odd shards, stepped up to the
            whole by Spearman and Brown; NaN with fewer than two shards.
        count: how many (stimulus, response) pairs were averaged.
        nonnegative: whether the response is a rate, so that `average` has a meaning.
    """

    covariance: np.ndarray
    mean_response: np.ndarray
    response_std: np.ndarray
    z: np.ndarray
    reliability: np.ndarray
    count: int
    nonnegative: bool

    @property
    def average(self):
        """The response-weighted mean stimulus minus the mean stimulus: c / E r, (R, h, w, c).

        For decisions: the mean noise image of the trials answered k, minus that of all trials. For
        filters: the spike-triggered average. NaN where E r is 0 or r may be negative (a logit).
        """
        if not self.nonnegative:
            return np.full_like(self.covariance, np.nan)
        rate = np.where(self.mean_response > 0, self.mean_response, np.nan)
        return self.covariance / rate[:, None, None, None]

    @property
    def significant(self):
        """(R, h, w, c) bool: pixels significant at family-wise 5 % within their image (Sidak)."""
        return np.abs(np.nan_to_num(self.z)) > sidak_threshold(self.z[0].size)


def sidak_threshold(pixels, alpha=0.05):
    """Return the |z| that none of `pixels` independent null pixels passes, with 1 - alpha."""
    return stats.norm.ppf(0.5 + 0.5 * (1 - alpha) ** (1 / pixels))


def _normal_from_t(t, freedom):
    """Turn Student's t into a z of the same tail probability (Wallace 1959; never overflows)."""
    scale = (8 * freedom + 1) / (8 * freedom + 3)
    return np.sign(t) * scale * np.sqrt(freedom * np.log1p(t**2 / freedom))


def _covariance(sums):
    """Covariance of r and x from sums: (R, h, w, c)."""
    return (sums["rx"] - np.multiply.outer(sums["r"], sums["x"]) / sums["n"]) / sums["n"]


def _reliability(even, odd):
    """Correlate the rows of two (R, ...) arrays; 2 r / (1 + |r|), Spearman and Brown's formula."""
    rows = [half.reshape(len(half), -1) for half in (even, odd)]
    rows = [half - half.mean(axis=1, keepdims=True) for half in rows]
    norms = [np.linalg.norm(half, axis=1) for half in rows]
    r = (rows[0] * rows[1]).sum(axis=1) / (norms[0] * norms[1])
    return 2 * r / (1 + np.abs(r))


def _estimate(sums, nonnegative):
    """Turn one set of sums, kept apart for even and odd shards, into an Estimate."""
    total = {name: value.sum(axis=0) for name, value in sums.items()}
    even, odd = ({name: value[i] for name, value in sums.items()} for i in (0, 1))
    n = total["n"]
    with np.errstate(divide="ignore", invalid="ignore"):
        covariance = _covariance(total)
        mean = total["r"] / n
        std = np.sqrt(np.maximum(total["rr"] / n - mean**2, 0))
        if "shards" in total:  # overlapping positions are not independent: compare shards instead
            freedom = total["shards"] - 1
            spread = total["ncc"] - total["nc"] ** 2 / n
            z = _normal_from_t(covariance / np.sqrt(spread / (freedom * n)), freedom)
        else:
            stimulus_std = np.sqrt(total["xx"] / n - (total["x"] / n) ** 2)
            z = covariance * math.sqrt(n) / np.multiply.outer(std, stimulus_std)
        z = np.where(std[:, None, None, None] > 0, z, np.nan)
        reliability = _reliability(_covariance(even), _covariance(odd))
    return Estimate(covariance, mean, std, z, reliability, int(n), nonnegative)


def _rows(sums, first, last):
    """Return the sums of responses first to last - 1."""
    return {name: v[:, first:last] if name in ("r", "rr", "rx") else v for name, v in sums.items()}


class Measurement:
    """What a pass found: estimates, computed from its sums.

    Attributes:
        count: stimuli shown.
        classes: {"decision", "probability", "logit"}: an Estimate over (K, h, w, c).
        layers: {name: Estimate over (filters, rf_h, rf_w, c)}; the spike-triggered averages.
        maps: {name: Estimate over (K, map_h, map_w, 1)}; the covariance of each class's logit
            with the layer's activity, averaged over filters, at every position.
        provenance: what identifies the run, a dict that JSON can hold.
    """

    def __init__(self, sums, provenance):
        self.sums, self.provenance = sums, provenance
        self.count = int(sums["classes"]["n"].sum())
        classes = sums["classes"]["r"].shape[1] // len(RESPONSES)
        self.classes = {
            kind: _estimate(_rows(sums["classes"], i * classes, (i + 1) * classes), kind != "logit")
            for i, kind in enumerate(RESPONSES)
        }
        self.layers = {
            name: _estimate(sums[f"filters/{name}"], about["nonnegative"])
            for name, about in provenance["layers"].items()
        }
        self.maps = {name: _estimate(sums[f"maps/{name}"], False) for name in self.layers}

    @property
    def answered(self):
        """How often each class was the answer: (K,) int."""
        return np.rint(self.classes["decision"].mean_response * self.count).astype(int)

    def save(self, path):
        """Write sums and provenance to a .npz file (no pickles)."""
        arrays = {f"{kind}:{name}": v for kind, s in self.sums.items() for name, v in s.items()}
        np.savez(path, provenance=json.dumps(self.provenance), **arrays)

    @classmethod
    def load(cls, path):
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as file:
            provenance = json.loads(str(file["provenance"]))
            sums = {}
            for key in file.files:
                if key != "provenance":
                    kind, name = key.split(":")
                    sums.setdefault(kind, {})[name] = file[key]
        return cls(sums, provenance)


# --------------------------------------------------------------------------- what a unit sees


@dataclasses.dataclass(frozen=True)
class ReceptiveField:
    """Unit i of a layer sees pixels offset + i * stride to offset + i * stride + size - 1.

    Each of the three is a pair (rows, columns); a negative offset reaches into padding.
    """

    size: tuple
    stride: tuple
    offset: tuple

    def interior(self, image, units):
        """Return, for rows and columns, the first and last + 1 unit that sees no padding."""
        bounds = []
        for size, stride, offset, pixels, n in zip(
            self.size, self.stride, self.offset, image, units, strict=True
        ):
            first = max(0, math.ceil(-offset / stride))
            last = min(n - 1, (pixels - size - offset) // stride)
            bounds.append((first, last + 1))
        return bounds


def receptive_field(model, layer):
    """Derive what a unit of the named layer sees, from the layers between it and the image.

    Raises:
        ValueError: if there is no such layer, or its receptive field cannot be derived.
    """
    names = [each.name for each in model.layers]
    if layer not in names:
        raise ValueError(f"the network has no layer {layer!r}; it has {', '.join(names)}")
    return _field_of(model.get_layer(layer).output, layer)


_ELEMENTWISE = (
    keras.layers.Activation,
    keras.layers.BatchNormalization,
    keras.layers.Dropout,
    keras.layers.ReLU,
    keras.layers.Rescaling,
)


def _field_of(tensor, layer):
    """Walk from a layer's output back to the image."""
    operation, node, _ = tensor._keras_history
    if isinstance(operation, keras.layers.InputLayer):
        return ReceptiveField((1, 1), (1, 1), (0, 0))
    source = operation._inbound_nodes[node].input_tensors
    if len(source) == 1 and len(tensor.shape) == 4:
        below = _field_of(source[0], layer)
        if isinstance(operation, _ELEMENTWISE):
            return below
        if isinstance(operation, (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)):
            window, dilation = operation.kernel_size, operation.dilation_rate
            return _slide(below, window, operation.strides, dilation, operation.padding, source[0])
        if isinstance(operation, (keras.layers.MaxPooling2D, keras.layers.AveragePooling2D)):
            window = operation.pool_size
            return _slide(below, window, operation.strides, (1, 1), operation.padding, source[0])
    raise ValueError(
        f"the receptive field of layer {layer!r} cannot be derived: it looks through "
        f"{operation.name!r}, a {type(operation).__name__}; name a convolution before that"
    )


def _slide(below, window, strides, dilation, padding, source):
    """Put a sliding window on top of a receptive field."""
    size, stride, offset = [], [], []
    for axis in (0, 1):
        span = (window[axis] - 1) * dilation[axis] + 1
        before = 0
        if padding == "same":
            pixels = source.shape[1 + axis]
            steps = -(-pixels // strides[axis])
            before = max((steps - 1) * strides[axis] + span - pixels, 0) // 2
        size.append(below.size[axis] + (span - 1) * below.stride[axis])
        stride.append(below.stride[axis] * strides[axis])
        offset.append(below.offset[axis] - before * below.stride[axis])
    return ReceptiveField(tuple(size), tuple(stride), tuple(offset))


# --------------------------------------------------------------------------- accumulators
# An accumulator says what its zero sums are and how a block adds to them. A block holds
# "stimuli" (n, h, w, c), centred on the ensemble's mean, "logits" (n, K) and the activity of
# each named layer. To measure something new, write one more and add it to `_accumulators`.


def _pair_sums(r, x, shape):
    """Sums over a block of responses r (n, R) and signals x (n, D) shaped (h, w, c)."""
    return {
        "n": tf.cast(tf.shape(r)[0], tf.float32),
        "r": tf.reduce_sum(r, 0),
        "rr": tf.reduce_sum(tf.square(r), 0),
        "x": tf.reshape(tf.reduce_sum(x, 0), shape),
        "xx": tf.reshape(tf.reduce_sum(tf.square(x), 0), shape),
        "rx": tf.reshape(tf.matmul(r, x, transpose_a=True), (-1, *shape)),
    }


def _pair_zeros(responses, shape):
    """Shapes of the sums that `_pair_sums` returns."""
    return {
        "n": (),
        "r": (responses,),
        "rr": (responses,),
        "x": shape,
        "xx": shape,
        "rx": (responses, *shape),
    }


class ClassSums:
    """Decision, probability and logit of every class, against the stimulus."""

    def __init__(self, shape, classes):
        self.name, self.shape, self.classes = "classes", tuple(shape), classes

    def zeros(self):
        """Return the shapes of the sums."""
        return _pair_zeros(len(RESPONSES) * self.classes, self.shape)

    def block(self, block):
        """Return the sums of a block."""
        logits = block["logits"]
        decision = tf.one_hot(tf.argmax(logits, axis=1), self.classes)
        responses = tf.concat([decision, tf.nn.softmax(logits), logits], axis=1)
        stimuli = tf.reshape(block["stimuli"], (-1, math.prod(self.shape)))
        return _pair_sums(responses, stimuli, self.shape)

    def finish(self, shard):
        """Return what a shard adds to the total, from its float64 sums."""
        return shard


class MapSums:
    """The logit of every class, against a layer's activity averaged over filters."""

    def __init__(self, layer, units, classes):
        self.name, self.layer, self.classes = f"maps/{layer}", layer, classes
        self.shape = (*units, 1)

    def zeros(self):
        """Return the shapes of the sums."""
        return _pair_zeros(self.classes, self.shape)

    def block(self, block):
        """Return the sums of a block."""
        activity = tf.reduce_mean(block[self.layer], axis=3)
        activity = tf.reshape(activity, (-1, math.prod(self.shape)))
        return _pair_sums(block["logits"], activity, self.shape)

    def finish(self, shard):
        """Return what a shard adds to the total, from its float64 sums."""
        return shard


class FilterSums:
    """A convolution's activity against the patch of stimulus before it, over all positions.

    Summed over images and positions, activity times patch *is* the gradient of a convolution with
    respect to its filter, with the receptive field as the filter's size and the layer's total
    stride as its stride. Units that see padding are left out.
    """

    def __init__(self, layer, field, image, channels, units, filters):
        self.name, self.layer, self.field = f"filters/{layer}", layer, field
        self.shape = (*field.size, channels)
        self.filters = filters
        self.rows, self.columns = field.interior(image, units)
        if min(self.rows[1] - self.rows[0], self.columns[1] - self.columns[0]) < 1:
            raise ValueError(
                f"every unit of layer {layer!r} sees padding: its receptive field of "
                f"{field.size[0]}x{field.size[1]} pixels does not fit an image of "
                f"{image[0]}x{image[1]}; leave the layer out"
            )

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
        activity = block[self.layer][:, slice(*self.rows), slice(*self.columns), :]
        stimuli = block["stimuli"]
        for axis, (first, end) in enumerate((self.rows, self.columns)):
            size, stride = self.field.size[axis], self.field.stride[axis]
            start = self.field.offset[axis] + first * stride
            window = slice(start, start + (end - first - 1) * stride + size)
            stimuli = stimuli[:, window] if axis == 0 else stimuli[:, :, window]
        total = tf.reduce_sum(stimuli, axis=0, keepdims=True)
        positions = tf.ones((1, *(b - a for a, b in (self.rows, self.columns)), 1))
        triggered = self._correlate(stimuli, activity, self.filters)
        return {
            "n": tf.cast(tf.size(activity) // self.filters, tf.float32),
            "r": tf.reduce_sum(activity, axis=(0, 1, 2)),
            "rr": tf.reduce_sum(tf.square(activity), axis=(0, 1, 2)),
            "x": self._correlate(total, positions, 1)[..., 0],
            "rx": tf.transpose(triggered, (3, 0, 1, 2)),
        }

    def _correlate(self, stimuli, activity, filters):
        """Sum activity times patch over images and positions: (rf_h, rf_w, c, filters)."""
        return tf.raw_ops.Conv2DBackpropFilter(
            input=stimuli,
            filter_sizes=(*self.shape, filters),
            out_backprop=activity,
            strides=(1, *self.field.stride, 1),
            padding="VALID",
        )

    def finish(self, shard):
        """Add the shard's own covariance and its square: shards are independent of each other."""
        covariance = _covariance(shard)
        n = shard["n"]
        own = {"shards": np.float64(1), "nc": n * covariance, "ncc": n * covariance**2}
        return {**shard, **own}


# --------------------------------------------------------------------------- the pass


def response_tensors(model, layers=()):
    """Return a Keras model of images to {"logits": (n, K), layer: activity (n, h, w, filters)}.

    Logits are the input of the network's softmax.
    """
    output = model.outputs[0]
    operation = output._keras_history.operation
    if isinstance(operation, keras.layers.Softmax):
        output = operation.input
    taps = {name: model.get_layer(name).output for name in layers}
    return keras.Model(model.inputs, {"logits": output, **taps})


def _accumulators(model, noise, layers):
    """List what the pass measures."""
    classes = model.outputs[0].shape[-1]
    found = [ClassSums(noise.shape, classes)]
    for name in layers:
        field = receptive_field(model, name)
        _, *units, filters = model.get_layer(name).output.shape
        found.append(FilterSums(name, field, noise.shape[:2], noise.shape[2], units, filters))
        found.append(MapSums(name, units, classes))
    return found


def _shard_function(network, noise, seed, accumulators):
    """Compile the sums of one shard: a loop over blocks inside one graph."""

    def empty():
        return {a.name: {k: tf.zeros(s) for k, s in a.zeros().items()} for a in accumulators}

    def add(index, sums, first, images):
        count = tf.minimum(images - index * BLOCK_IMAGES, BLOCK_IMAGES)
        stimuli = noise.draw(seed, first + index, count)
        block = {**network(stimuli, training=False), "stimuli": stimuli - noise.mean}
        sums = {
            a.name: tf.nest.map_structure(tf.add, sums[a.name], a.block(block))
            for a in accumulators
        }
        return index + 1, sums

    @tf.function(input_signature=[tf.TensorSpec((), tf.int64), tf.TensorSpec((), tf.int64)])
    def shard(first, images):
        """Sums over `images` stimuli, from block `first` on."""
        _, sums = tf.while_loop(
            lambda index, _: index * BLOCK_IMAGES < images,
            lambda index, sums: add(index, sums, first, images),
            (tf.constant(0, tf.int64), empty()),
        )
        return sums

    return shard


def measure(model, noise, count, *, seed=0, layers=(), progress=True):
    """Show a network `count` noise images and estimate what its classes and filters look for.

    Args:
        model: a built Keras classifier of images of `noise.shape`.
        noise: an ensemble such as `WhiteNoise()`.
        count: how many stimuli; a pixel's standard error falls as 1 / sqrt(count).
        seed: of the noise; block b is a function of (seed, b).
        layers: names of convolutions whose filters are measured too.
        progress: whether to show a progress bar.

    Returns:
        A Measurement.

    Raises:
        ValueError: if count is not positive, the network takes other images, a layer's receptive
            field cannot be derived, or the network answers NaN or infinity.
    """
    if count < 1:
        raise ValueError(f"the number of noise images must be at least 1, not {count}")
    expected = tuple(model.inputs[0].shape[1:])
    if expected != noise.shape:
        raise ValueError(f"the network takes images of {expected}, but the noise is {noise.shape}")
    accumulators = _accumulators(model, noise, layers)
    shard = _shard_function(response_tensors(model, layers), noise, seed, accumulators)
    totals = {a.name: {} for a in accumulators}
    shard_images = BLOCK_IMAGES * SHARD_BLOCKS
    with progress_bar(count, f"noise through {model.name}", disable=not progress) as bar:
        for index in range(-(-count // shard_images)):
            images = min(shard_images, count - index * shard_images)
            sums = tf.nest.map_structure(
                lambda t: t.numpy().astype(np.float64), shard(index * SHARD_BLOCKS, images)
            )
            refuse_broken_answers(model.name, sums["classes"])
            for a in accumulators:
                for name, value in a.finish(sums[a.name]).items():
                    halves = totals[a.name].setdefault(name, np.zeros((2, *value.shape)))
                    halves[index % 2] += value
            bar.update(images)
    provenance = {
        "network": model.name,
        "noise": noise.describe(),
        "seed": seed,
        "block_images": BLOCK_IMAGES,
        "shard_blocks": SHARD_BLOCKS,
        "layers": {
            name: {"nonnegative": model.get_layer(name).activation is keras.activations.relu}
            for name in layers
        },
        "versions": {"tensorflow": tf.__version__, "keras": keras.__version__},
    }
    return Measurement(totals, provenance)


def refuse_broken_answers(name, sums):
    """Raise ValueError if the answers to a shard were not numbers, or all the same."""
    if not np.isfinite(sums["rr"]).all():
        raise ValueError(
            f"the network {name!r} answers NaN or infinity to noise: its weights are damaged; "
            "train it again"
        )
    logits = slice(-len(sums["r"]) // len(RESPONSES), None)
    variance = sums["rr"][logits] / sums["n"] - (sums["r"][logits] / sums["n"]) ** 2
    if sums["n"] > 1 and np.all(variance <= 1e-12 * sums["rr"][logits] / sums["n"]):
        raise ValueError(
            f"the network {name!r} answers every noise image alike: there is nothing to correlate "
            "with; train it again"
        )


def progress_bar(total, description, disable=False):
    """Return a tqdm bar of images; without a terminal, an occasional line instead."""
    terminal = sys.stderr.isatty()
    return tqdm(
        total=total,
        desc=description,
        unit=" img",
        unit_scale=True,
        disable=disable,
        file=sys.stderr if terminal else _Log,
        mininterval=0.1 if terminal else 20,
        delay=0 if terminal else 1,
        bar_format=None if terminal else "{desc}: {n_fmt} of {total_fmt}, {rate_fmt}",
    )


class _Log:
    """A stand-in for a terminal, where each state of a progress bar becomes a line."""

    @staticmethod
    def write(text):
        if text.strip():
            print(text.strip(), file=sys.stderr, flush=True)

    @staticmethod
    def flush():
        pass
