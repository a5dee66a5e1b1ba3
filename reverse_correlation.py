"""Reverse correlation: one pass of noise through a network, the sums it leaves, their estimates.

A classification image and a spike-triggered average are the same thing, the covariance of a
stimulus x with a response r,

    c = cov(r, x) = E[(r - E r)(x - E x)],

where r is the decision, probability or logit of a class, or the activity of a filter. All of it
comes from sums (N, sum of r, r**2, x, x**2, r x), and sums add: over blocks, over shards, over a
restart. The pass therefore needs the same memory for a thousand images and for a billion.
"""

import dataclasses
import functools
import hashlib
import json
import math
import os
import sys
import time
import zipfile
import zlib
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from scipy import stats
from tqdm import tqdm

BLOCK_IMAGES = 1000  # stimuli drawn, shown and summed at once, in float32
SHARD_BLOCKS = 8  # blocks of one graph call; shards are added in float64, in order
SAVE_SECONDS = 15  # between two checkpoints
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
    def events(self):
        """Effective number of spikes behind each average: (sum of r)**2 / sum of r**2, (R,)."""
        power = self.mean_response**2 + self.response_std**2
        with np.errstate(invalid="ignore"):
            return np.nan_to_num(self.count * self.mean_response**2 / power)

    def images_needed(self, count, correlation=0.9):
        """How many stimuli would bring each image to that correlation with its expectation: (R,).

        The squared signal-to-noise ratio of an image of D pixels is the sum of z**2 minus D, and
        grows in proportion to the stimuli shown, `count` so far; its correlation with the truth is
        SNR / sqrt(SNR**2 + D - 1) (Murray 2011). Infinite where no signal has been seen yet.
        """
        z = self.z.reshape(len(self.z), -1)
        snr2 = np.maximum((z**2).sum(axis=1) - z.shape[1], 0)
        wanted = correlation**2 / (1 - correlation**2) * (z.shape[1] - 1)
        with np.errstate(divide="ignore"):
            return count * wanted / snr2

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
        """Write sums and provenance to a .npz file (no pickles), whole or not at all."""
        arrays = {f"{kind}:{name}": v for kind, s in self.sums.items() for name, v in s.items()}
        path = Path(path)
        part = path.with_name(f"{path.name}.{os.getpid()}.part")
        try:
            with open(part, "wb") as file:
                np.savez(file, provenance=json.dumps(self.provenance), **arrays)
            os.replace(part, path)
        except OSError as error:
            raise OSError(
                f"cannot write {path} ({error.strerror or error}): free some space or choose "
                "another folder; what was saved before is intact"
            ) from error
        finally:
            part.unlink(missing_ok=True)

    @classmethod
    def load(cls, path):
        """Read what `save` wrote.

        Raises:
            ValueError: if the file is not a whole measurement.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                provenance = json.loads(str(file["provenance"]))
                sums = {}
                for key in file.files:
                    if key != "provenance":
                        kind, name = key.split(":")
                        sums.setdefault(kind, {})[name] = file[key]
            return cls(sums, provenance)
        except (ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise ValueError(f"{path} is not a whole measurement ({error}): delete it") from error


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
# each named layer. To measure something new, write one more and add it to `_accumulators`. An
# accumulator with `every` above 1 sees only the blocks whose index that divides.


def _pair_sums(r, x, shape):
    """Sums over a block of responses r (n, R) and signals x (n, D) shaped (h, w, c)."""
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
        self.name, self.every = "classes", 1
        self.shape, self.classes = tuple(shape), classes

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

    def __init__(self, layer, units, classes, every):
        self.name, self.every = f"maps/{layer}", every
        self.layer, self.classes, self.shape = layer, classes, (*units, 1)

    def zeros(self):
        """Return the shapes of the sums."""
        return _pair_zeros(self.classes, self.shape)

    def block(self, block):
        """Return the sums of a block."""
        filters = block[self.layer].shape[-1]
        mean = tf.fill((filters, 1), 1 / filters)
        activity = tf.matmul(tf.reshape(block[self.layer], (-1, filters)), mean)
        activity = tf.reshape(activity, (-1, math.prod(self.shape)))
        return _pair_sums(block["logits"], activity, self.shape)

    def finish(self, shard):
        """Return what a shard adds to the total, from its float64 sums."""
        return shard


class FilterSums:
    """A convolution's activity against the patch of stimulus before it, over all positions.

    Summed over images and positions, activity times patch *is* the gradient of a convolution with
    respect to its filter, with the receptive field as the filter's size and the layer's total
    stride as its stride. Units that see padding are left out. A layer with many positions needs
    fewer images: it is measured on every 2nd, 4th or 8th block.
    """

    def __init__(self, layer, field, image, channels, units, filters):
        self.name = f"filters/{layer}"
        self.layer, self.field, self.filters = layer, field, filters
        self.shape = (*field.size, channels)
        self.rows, self.columns = field.interior(image, units)
        if min(self.rows[1] - self.rows[0], self.columns[1] - self.columns[0]) < 1:
            raise ValueError(
                f"every unit of layer {layer!r} sees padding: its receptive field of "
                f"{field.size[0]}x{field.size[1]} pixels does not fit an image of "
                f"{image[0]}x{image[1]}; leave the layer out"
            )

        positions = math.prod(end - first for first, end in (self.rows, self.columns))
        self.every = next(k for k in (8, 4, 2, 1) if positions >= 16 * k or k == 1)

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
        flat = tf.reshape(activity, (-1, self.filters))
        ones = tf.ones((1, tf.shape(flat)[0]))
        return {
            "n": tf.cast(tf.shape(flat)[0], tf.float32),
            "r": tf.matmul(ones, flat)[0],
            "rr": tf.matmul(ones, tf.square(flat))[0],
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
        found.append(MapSums(name, units, classes, found[-1].every))
    return found


def _shard_function(network, noise, seed, accumulators):
    """Compile the sums of one shard: a loop over blocks inside one graph."""

    def empty():
        return {a.name: {k: tf.zeros(s) for k, s in a.zeros().items()} for a in accumulators}

    def add(index, sums, first, images):
        count = tf.minimum(images - index * BLOCK_IMAGES, BLOCK_IMAGES)
        stimuli = noise.draw(seed, first + index, count)
        answers = network(stimuli, training=False)
        block = {name: tf.cast(answer, tf.float32) for name, answer in answers.items()}
        block["stimuli"] = stimuli - noise.mean

        def added(accumulator):
            before = sums[accumulator.name]
            return tf.nest.map_structure(tf.add, before, accumulator.block(block))

        return index + 1, {
            a.name: tf.cond(
                (first + index) % a.every == 0,
                functools.partial(added, a),
                functools.partial(sums.get, a.name),
            )
            if a.every > 1
            else added(a)
            for a in accumulators
        }

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


def measure(
    model,
    noise,
    count,
    *,
    seed=0,
    layers=(),
    checkpoint=None,
    progress=True,
    precision="float32",
):
    """Show a network `count` noise images and estimate what its classes and filters look for.

    Args:
        model: a built Keras classifier of images of `noise.shape`.
        noise: an ensemble such as `WhiteNoise()`.
        count: how many stimuli; a pixel's standard error falls as 1 / sqrt(count).
        seed: of the noise; block b is a function of (seed, b).
        layers: names of convolutions whose filters are measured too, from all images or, where
            they have many positions an image, from every 2nd, 4th or 8th block.
        checkpoint: a .npz file where the sums are kept every 15 seconds and on Ctrl-C. If it is
            there, the pass continues from it, to the same bits as one that was never interrupted;
            asking for more images than it has continues too.
        progress: whether to show a progress bar.
        precision: "float32", or "bfloat16": faster on a CPU that has it, and a slightly different
            network (weights and activities of 8 significant bits).

    Returns:
        A Measurement.

    Raises:
        ValueError: if count is not positive, the network takes other images, a layer's receptive
            field cannot be derived, the checkpoint is of other settings, bfloat16 would be slower,
            or the network answers NaN or always the same.
        OSError: if the checkpoint cannot be written.
    """
    if count < 1:
        raise ValueError(f"the number of noise images must be at least 1, not {count}")
    expected = tuple(model.inputs[0].shape[1:])
    if expected != noise.shape:
        raise ValueError(f"the network takes images of {expected}, but the noise is {noise.shape}")
    accumulators = _accumulators(model, noise, layers)
    network = response_tensors(in_precision(model, precision), layers)
    look_first(network, model.name, noise, seed)
    shard = _shard_function(network, noise, seed, accumulators)
    identity = _identity(model, noise, seed, layers, precision)
    shard_images = BLOCK_IMAGES * SHARD_BLOCKS
    totals, done, checkpoint = _resume(checkpoint, identity, count // shard_images)
    saved, whole = time.monotonic(), True

    def keep():
        if checkpoint and done:
            Measurement(totals, {**identity, "shards": done}).save(checkpoint)

    def sums_of(index, images):
        sums = tf.nest.map_structure(
            lambda t: t.numpy().astype(np.float64), shard(index * SHARD_BLOCKS, images)
        )
        refuse_nan(model.name, sums["classes"]["rr"])
        return sums

    description = f"noise through {model.name}"
    with progress_bar(count, description, done * shard_images, disable=not progress) as bar:
        try:
            while done < count // shard_images:
                sums = sums_of(done, shard_images)
                whole = False
                _add(totals, sums, accumulators, done)
                done, whole = done + 1, True
                bar.update(shard_images)
                if time.monotonic() - saved > SAVE_SECONDS:
                    keep()
                    saved = time.monotonic()
        except KeyboardInterrupt:
            if whole:
                keep()
            raise
        keep()
        rest = count - done * shard_images
        if rest:  # after the checkpoint, which holds whole shards only
            _add(totals, sums_of(done, rest), accumulators, done)
            bar.update(rest)
    return Measurement(totals, {**identity, "shards": done})


def _add(totals, sums, accumulators, index):
    """Add the sums of a shard to those of the even or odd shards."""
    for a in accumulators:
        halves = totals.setdefault(a.name, {})
        for name, value in a.finish(sums[a.name]).items():
            halves.setdefault(name, np.zeros((2, *value.shape)))[index % 2] += value


def _resume(checkpoint, identity, shards):
    """Return the sums of a checkpoint, how many shards they hold, and where to go on saving.

    A checkpoint that holds more than is asked for is neither used nor written.
    """
    if checkpoint is None or not Path(checkpoint).exists():
        return {}, 0, checkpoint
    found = Measurement.load(checkpoint)
    done = found.provenance.pop("shards")
    if found.provenance != json.loads(json.dumps(identity)):
        differing = [k for k in identity if found.provenance.get(k) != identity[k]]
        raise ValueError(
            f"{checkpoint} is of another run (it differs in {', '.join(differing)}): delete it "
            "or name another checkpoint"
        )
    if done > shards:
        return {}, 0, None
    if done:
        print(f"{identity['network']}: continuing from {found.count:,} images in {checkpoint}")
    return found.sums, done, checkpoint


def network_sha256(model):
    """Return a hash of the network's layers and weights, whatever the layers' names."""
    layers = [(type(x).__name__, {**x.get_config(), "name": ""}) for x in model.layers]
    digest = hashlib.sha256(repr(layers).encode())
    for weight in model.get_weights():
        digest.update(np.ascontiguousarray(weight).tobytes())
    return digest.hexdigest()


def _identity(model, noise, seed, layers, precision):
    """Everything that a measurement depends on, as JSON can hold it."""
    rates = (keras.activations.relu, keras.activations.sigmoid, keras.activations.softplus)
    return {
        "network": model.name,
        "network_sha256": network_sha256(model),
        "noise": noise.describe(),
        "seed": seed,
        "precision": precision,
        "block_images": BLOCK_IMAGES,
        "shard_blocks": SHARD_BLOCKS,
        "layers": {
            name: {"nonnegative": getattr(model.get_layer(name), "activation", None) in rates}
            for name in layers
        },
        "versions": {"tensorflow": tf.__version__, "keras": keras.__version__},
    }


def in_precision(model, precision):
    """Return the network itself, or a copy that computes in bfloat16."""
    if precision == "float32":
        return model
    if precision != "bfloat16":
        raise ValueError(f"unknown precision {precision!r}: choose float32 or bfloat16")

    def convert(layer):
        return layer.__class__.from_config({**layer.get_config(), "dtype": "mixed_bfloat16"})

    copy = keras.models.clone_model(
        keras.Model(model.inputs, model.outputs), clone_function=convert
    )
    copy.set_weights(model.get_weights())
    ratio = seconds_a_block(copy) / seconds_a_block(model)
    if ratio > 1:
        raise ValueError(
            f"bfloat16 takes {ratio:.1f} times as long as float32 for {model.name!r} on this "
            "machine: use float32"
        )
    return copy


def seconds_a_block(network, repeats=5):
    """Return the least time that a network took to answer a block."""
    answer = tf.function(lambda stimuli: network(stimuli, training=False), jit_compile=False)
    stimuli = tf.fill((BLOCK_IMAGES, *network.inputs[0].shape[1:]), 0.5)
    times = []
    for _ in range(repeats + 1):  # the first compiles
        started = time.perf_counter()
        answer(stimuli)
        times.append(time.perf_counter() - started)
    return min(times[1:])


def look_first(network, name, noise, seed):
    """Show block 0 before the long pass; raise ValueError if all answers to it are the same."""
    logits = network(noise.draw(seed, 0, BLOCK_IMAGES), training=False)["logits"].numpy()
    refuse_nan(name, logits)
    if np.all(logits == logits[0]):
        raise ValueError(
            f"the network {name!r} answers all of {len(logits):,} noise images alike: there is "
            "nothing to correlate with; train it again"
        )


def refuse_nan(name, answers):
    """Raise ValueError if answers, or sums of them, are not finite."""
    if not np.isfinite(answers).all():
        raise ValueError(
            f"the network {name!r} answers NaN or infinity to noise: its weights are damaged; "
            "train it again"
        )


def progress_bar(total, description, initial=0, disable=False):
    """Return a tqdm bar of images; without a terminal, an occasional line instead."""
    terminal = sys.stderr.isatty()
    return tqdm(
        total=total,
        initial=initial,
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
