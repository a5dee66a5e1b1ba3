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

from networks import (
    as_graph,
    images_that_fit,
    in_precision,
    layer_named,
    logits_of,
    network_sha256,
    receptive_field,
    response_tensors,
    tapped,
)

BLOCK_IMAGES = 1000  # stimuli drawn, shown and summed at once, where so many fit in memory
SHARD_BLOCKS = 8  # blocks of one graph call, in float32; shards are added in float64
GROUP = 8  # shards, or groups of them, that are added one after another
SAVE_SECONDS = 15  # between two checkpoints
LOOK_IMAGES = 1000  # shown before the long pass
CLASS_SUMS_BYTES = 2e9  # a network with more classes and pixels than this holds is refused
FILTER_SUMS_BYTES = 2.5e8  # of a layer with more, the first filters are measured
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
        _write(path, [self.sums], self.provenance)

    @classmethod
    def load(cls, path):
        """Read what `save` wrote, or what a checkpoint holds so far.

        Raises:
            ValueError: if the file is not a whole measurement.
        """
        levels, provenance = _read(path)
        try:
            return cls(_fold(levels), provenance)
        except KeyError as error:
            raise ValueError(
                f"{path} is not a whole measurement (no {error}): delete it"
            ) from error


def _write(path, levels, provenance):
    """Write sums, those of each level of a SumTree, to a .npz file, whole or not at all."""
    arrays = {
        f"{kind}:{name}:{level}": value
        for level, sums in enumerate(levels)
        for kind, named in sums.items()
        for name, value in named.items()
    }
    path = Path(path)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with open(part, "wb") as file:
            np.savez(file, provenance=json.dumps({**provenance, "levels": len(levels)}), **arrays)
        os.replace(part, path)
    except OSError as error:
        raise OSError(
            f"cannot write {path} ({error.strerror or error}): free some space or choose "
            "another folder; what was saved before is intact"
        ) from error
    finally:
        part.unlink(missing_ok=True)


def _read(path):
    """Return the levels and the provenance that `_write` was given."""
    try:
        with np.load(path, allow_pickle=False) as file:
            provenance = json.loads(str(file["provenance"]))
            levels = [{} for _ in range(provenance.pop("levels"))]
            for key in file.files:
                if key != "provenance":
                    kind, name, level = key.split(":")
                    levels[int(level)].setdefault(kind, {})[name] = file[key]
        return levels, provenance
    except (ValueError, KeyError, IndexError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path} is not a whole measurement ({error}): delete it") from error


# --------------------------------------------------------------------------- sums of sums


class SumTree:
    """The sums of shards, added in a fixed order that allows for groups to be added elsewhere.

    Eight shards, one after another, make a group; eight groups one of the next level; and so on.
    `levels[k]` holds the groups of 8**k shards that are complete, up to seven of them, as one sum.
    Whoever adds a group, here or on another machine, adds the same numbers in the same order.

    Sums are {accumulator: {name: (2, ...) float64}}, and {} where there are none.
    """

    def __init__(self, levels=(), done=0):
        self._state = list(levels), done  # in one place, so that an interrupt finds it whole

    @property
    def levels(self):
        """The sums of complete groups, the smallest first."""
        return self._state[0]

    @property
    def done(self):
        """How many shards have been added."""
        return self._state[1]

    def add(self, sums, level=0):
        """Add the sums of the next 8**level shards.

        Raises:
            ValueError: if the shards before them do not end where a group of that level begins.
        """
        if self.done % GROUP**level:
            raise ValueError(f"{GROUP**level} shards cannot be added after {self.done}")
        levels, done = list(self.levels), self.done + GROUP**level
        levels += [{} for _ in range(level - len(levels))]
        while True:
            levels += [{}] if level == len(levels) else []
            levels[level] = _fold([sums, levels[level]])
            if done // GROUP**level % GROUP:
                break
            sums, levels[level] = levels[level], {}
            level += 1
        self._state = levels, done

    def total(self):
        """Return the sums of all shards."""
        return _fold(self.levels)


def _fold(levels):
    """Add up sums, the last first, into new arrays."""
    total = {}
    for sums in reversed(levels):
        for kind, named in sums.items():
            before = total.setdefault(kind, {})
            for name, value in named.items():
                before[name] = before[name] + value if name in before else value
    return total


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
        size = 20 * len(RESPONSES) * classes * math.prod(shape)
        if size > CLASS_SUMS_BYTES:
            raise ValueError(
                f"the sums of {classes:,} classes over {math.prod(shape):,} pixels would take "
                f"{size / 1e9:.1f} GB: measure fewer, by keras.Model(inputs, logits[:, :20])"
            )

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
    stride as its stride. Units that see padding are left out; where all do, the one that sees most
    of the image is kept. A layer with many positions needs fewer images: it is measured on every
    2nd, 4th or 8th block. Of a layer whose sums would not fit, the first filters are measured.
    """

    def __init__(self, layer, field, image, units, filters):
        self.name, self.layer = f"filters/{layer}", layer
        self.windows, self.stride = field.windows(image[:2], units), field.stride
        self.shape = (*(pixels for *_, pixels in self.windows), image[2])
        self.counts = [end - first for first, end, *_ in self.windows]
        bytes_each = 50 * math.prod(self.shape)  # three sums for each half, in float64
        self.filters = min(filters, max(1, int(FILTER_SUMS_BYTES // bytes_each)))
        positions = math.prod(self.counts)
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
        covariance = _covariance(shard)
        n = shard["n"]
        own = {"shards": np.float64(1), "nc": n * covariance, "ncc": n * covariance**2}
        return {**shard, **own}


# --------------------------------------------------------------------------- the pass


class Shards:
    """The sums of any shard of a pass, from the network and the noise: what a worker computes.

    Args:
        model, noise, seed, layers, precision: as for `measure`.

    Attributes:
        images: of one shard.
        identity: everything that the sums depend on, as JSON can hold it.
    """

    def __init__(self, model, noise, seed=0, layers=(), precision="float32"):
        graph = as_graph(model, noise.shape)
        self.name, self.noise, self.seed = model.name, noise, seed
        logits, self.logits = logits_of(graph, noise)
        self.accumulators = _accumulators(graph, noise, layers, logits.shape[-1])
        self.network = response_tensors(in_precision(graph, precision), layers, noise)
        self.block_images = min(BLOCK_IMAGES, images_that_fit(graph, layers))
        self.images = self.block_images * SHARD_BLOCKS
        self._compiled = self._compile()
        filters = {a.layer: a.filters for a in self.accumulators if isinstance(a, FilterSums)}
        self.identity = {
            "network": model.name,
            "network_sha256": network_sha256(graph),
            "logits": self.logits,
            "noise": noise.describe(),
            "seed": seed,
            "precision": precision,
            "block_images": self.block_images,
            "shard_blocks": SHARD_BLOCKS,
            "layers": {
                name: {"nonnegative": _is_rate(graph, name), "filters": filters[name]}
                for name in layers
            },
            "versions": {"tensorflow": tf.__version__, "keras": keras.__version__},
        }

    def sums(self, index, images=None):
        """Return the sums of a shard, or of its first images: {accumulator: {name: (2, ...)}}.

        The first row is of even shards and the second of odd ones; one of them is zero.

        Raises:
            ValueError: if the network answers NaN or infinity.
        """
        images = self.images if images is None else images
        found = self._compiled(index * SHARD_BLOCKS, images)
        halves = {}
        for a in self.accumulators:
            own = {name: t.numpy().astype(np.float64) for name, t in found[a.name].items()}
            refuse_nan(self.name, own["rr"])
            halves[a.name] = {}
            for name, value in a.finish(own).items():
                halves[a.name][name] = np.zeros((2, *value.shape))
                halves[a.name][name][index % 2] = value
        return halves

    def _compile(self):
        """Compile the sums of one shard: a loop over blocks inside one graph."""
        size = self.block_images

        def empty():
            return {
                a.name: {name: tf.zeros(shape) for name, shape in a.zeros().items()}
                for a in self.accumulators
            }

        def add(index, sums, first, images):
            count = tf.minimum(images - index * size, size)
            stimuli = self.noise.draw(self.seed, first + index, count)
            answers = self.network(stimuli, training=False)
            block = {name: tf.cast(answer, tf.float32) for name, answer in answers.items()}
            block["stimuli"] = stimuli - self.noise.mean

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
                for a in self.accumulators
            }

        @tf.function(input_signature=[tf.TensorSpec((), tf.int64), tf.TensorSpec((), tf.int64)])
        def shard(first, images):
            """Sums over `images` stimuli, from block `first` on."""
            _, sums = tf.while_loop(
                lambda index, _: index * size < images,
                lambda index, sums: add(index, sums, first, images),
                (tf.constant(0, tf.int64), empty()),
            )
            return sums

        return shard


def _accumulators(graph, noise, layers, classes):
    """List what the pass measures."""
    found = [ClassSums(noise.shape, classes)]
    for name in layers:
        field, tensor = receptive_field(graph, name), tapped(graph, name)
        _, *units, filters = tensor.shape
        found.append(FilterSums(name, field, noise.shape, units, filters))
        found.append(MapSums(name, units, classes, found[-1].every))
    return found


def _is_rate(graph, layer):
    """Say whether a layer's activity is never negative, so that it can be averaged by."""
    activation = getattr(layer_named(graph, layer), "activation", None)
    rates = (keras.activations.relu, keras.activations.sigmoid, keras.activations.softplus)
    return activation in rates or isinstance(layer_named(graph, layer), keras.layers.ReLU)


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
    client=None,
):
    """Show a network `count` noise images and estimate what its classes and filters look for.

    Args:
        model: a built Keras classifier of images of `noise.shape`: Sequential, functional or a
            subclass; logits or probabilities out.
        noise: an ensemble such as `WhiteNoise()`.
        count: how many stimuli; a pixel's standard error falls as 1 / sqrt(count).
        seed: of the noise; block b is a function of (seed, b).
        layers: names of convolutions whose filters are measured too, from all images or, where
            they have many positions an image, from every 2nd, 4th or 8th block.
        checkpoint: a .npz file where the sums are kept every 15 seconds and on Ctrl-C. If it is
            there, the pass continues from it, to the same bits as one that was never interrupted;
            asking for more images than it has continues too.
        progress: whether to show a progress bar, and what a first look at 1,000 images says.
        precision: "float32", or "bfloat16": faster on a CPU that has it, and a slightly different
            network (weights and activities of 8 significant bits).
        client: a Dask client (see `cluster.connect`), whose workers compute the shards instead of
            this process: to the same bits, where they have as many threads each as it has.

    Returns:
        A Measurement.

    Raises:
        ValueError: if count is not positive, the network takes other images, has several inputs
            or outputs, a layer's receptive field cannot be derived, the sums would not fit, the
            checkpoint is of other settings, bfloat16 would be slower, or the network answers NaN
            or always the same.
        OSError: if the checkpoint cannot be written, or the Dask scheduler is gone.
    """
    if count < 1:
        raise ValueError(f"the number of noise images must be at least 1, not {count}")
    work = Shards(model, noise, seed, layers, precision)
    for remark in look_first(work):
        if progress:
            print(f"{model.name}: {remark}")
    whole, rest = divmod(count, work.images)
    tree, checkpoint = _resume(checkpoint, work.identity, whole)
    saved = time.monotonic()

    def keep():
        if checkpoint and tree.done:
            _write(checkpoint, tree.levels, {**work.identity, "shards": tree.done})

    description = f"noise through {model.name}"
    with progress_bar(count, description, tree.done * work.images, disable=not progress) as bar:
        if client is None:
            parts = _sums_here(work, tree.done, whole, rest, bar)
        else:
            from cluster import sums_on

            parts = sums_on(client, model, work, tree.done, whole, rest, bar)
        last = {}
        try:
            for sums, level in parts:
                if level is None:  # not in the checkpoint, which holds whole shards only
                    last = sums
                    continue
                tree.add(sums, level)
                if time.monotonic() - saved > SAVE_SECONDS:
                    keep()
                    saved = time.monotonic()
        finally:
            parts.close()
            keep()
    return Measurement(_fold([last, tree.total()]), {**work.identity, "shards": whole})


def _sums_here(work, first, whole, rest, bar):
    """Compute shards in this process, and yield their sums, and the level 0, in their order.

    The sums of `rest` images of the shard after those come last, with the level None.
    """
    for index in range(first, whole):
        sums = work.sums(index)
        bar.update(work.images)
        yield sums, 0
    if rest:
        sums = work.sums(whole, rest)
        bar.update(rest)
        yield sums, None


def _resume(checkpoint, identity, shards):
    """Return the sums of a checkpoint, and where to go on saving.

    A checkpoint that holds more than is asked for is neither used nor written.
    """
    if checkpoint is None or not Path(checkpoint).exists():
        return SumTree(), checkpoint
    levels, found = _read(checkpoint)
    done = found.pop("shards")
    if found != json.loads(json.dumps(identity)):
        differing = [key for key in identity if found.get(key) != identity[key]]
        raise ValueError(
            f"{checkpoint} is of another run (it differs in {', '.join(differing)}): delete it "
            "or name another checkpoint"
        )
    if done > shards:
        return SumTree(), None
    if done:
        images = done * identity["block_images"] * identity["shard_blocks"]
        print(f"{identity['network']}: continuing from {images:,} images in {checkpoint}")
    return SumTree(levels, done), checkpoint


def look_first(work):
    """Show a network 1,000 images before the long pass; return what should be said about it.

    Raises:
        ValueError: if it answers NaN, or the same to all of them.
    """
    count, blocks = LOOK_IMAGES, range(-(-LOOK_IMAGES // work.block_images))
    logits = np.concatenate(
        [
            work.network(work.noise.draw(work.seed, b, work.block_images), training=False)["logits"]
            for b in blocks
        ]
    )[:count].astype(np.float64)
    refuse_nan(work.name, logits)
    if np.all(np.ptp(logits, axis=0) <= 1e-6 * np.abs(logits).max(axis=0)):
        raise ValueError(
            f"the network {work.name!r} answers all of {len(logits):,} noise images alike: there "
            "is nothing to correlate with; check the range of its input, or train it again"
        )
    answers = np.bincount(logits.argmax(axis=1), minlength=logits.shape[1])
    remarks = []
    if answers.max() > 0.999 * count:
        remarks.append(
            f"of the first {count:,} noise images {answers.max():,} are answered "
            f"{answers.argmax()}: decision images of other classes will rest on few or no images; "
            "logit images and filters remain meaningful"
        )
    return remarks


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
