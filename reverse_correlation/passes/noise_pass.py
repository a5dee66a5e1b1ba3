"""The pass: noise is shown to an observer once, for everything that is measured."""

import dataclasses
import functools
import hashlib
import json
import math
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
from keras import ops

from reverse_correlation import backend
from reverse_correlation.estimates.accumulators import ACCUMULATORS
from reverse_correlation.frameworks import framework
from reverse_correlation.observers.answers import SAME
from reverse_correlation.observers.observer import BLOCK_IMAGES, FEW_IMAGES, refuse_nan
from reverse_correlation.observers.observer_of import observer_of
from reverse_correlation.stimuli.orthogonal import ROWS

SHARD_BLOCKS = 8  # blocks summed by one graph call, in float32; shards are added in float64
AT_ONCE = 10  # blocks that may be in the works at once, so that some are drawn ahead
DRAWN_VALUES = 10**7  # of pixels in a block, for an observer that has no graph to compile
COMPARED_ANSWERS = 8  # stimuli, and classes, whose logits tell one observer from another
SMALL_BLOCK = (
    100  # images; with smaller blocks, as of a large network, there is one block at a time
)


class NoisePass:
    """Computes the sums of any shard of a pass from the observer and the noise.

    Args:
        model, noise, seed, layers, precision, accumulators, block_images, classes, only: as for
            `measure`.

    Attributes:
        observer: the Observer.
        first_logits: (n, K), its answers to the first stimuli of the pass.
        shard_images: stimuli per shard.
        identity: everything that the sums depend on, JSON-serialisable.
    """

    def __init__(
        self,
        model,
        noise,
        seed=0,
        layers=(),
        precision="float32",
        accumulators=ACCUMULATORS,
        block_images=None,
        classes=None,
        only=(),
    ):
        self.observer = observer = observer_of(model, noise, classes, only)
        self.name, self.noise, self.seed, self.kinds = observer.name, noise, seed, accumulators
        self.layers, self.precision = tuple(layers), precision
        self.responses = observer.responses(self.layers, precision)  # None if it has no graph
        self.accumulators = [
            accumulator
            for accumulator_class in accumulators
            for accumulator in accumulator_class.for_pass(observer, noise, self.layers)
        ]
        fit = block_images or min(BLOCK_IMAGES, observer.images_that_fit(layers))
        if not (observer.has_layers or block_images):  # it answers a few of them at a time
            fit = max(fit, min(BLOCK_IMAGES, DRAWN_VALUES // math.prod(noise.shape)))
        self.block_images, self.shard_blocks = fit, SHARD_BLOCKS
        if noise.orthogonal_coordinates:  # a shard is a block of orthogonal numbers, in parts
            pairs = 2 ** max(min(fit // 2, ROWS // 2).bit_length() - 1, 0)
            self.block_images, self.shard_blocks = 2 * pairs, ROWS // pairs
        elif not block_images:
            self.block_images = max(fit - fit % 2, 1)  # whole pairs if they fit
        self.shard_images = self.block_images * self.shard_blocks
        at_once = AT_ONCE if self.block_images >= SMALL_BLOCK else 1
        self._shard = (
            self._by_blocks() if self.responses is None else framework.shard_of(self, at_once)
        )
        versions = {framework.NAME: framework.VERSION, "keras": keras.__version__}
        identity = {
            "network": observer.name,
            "network_sha256": observer.sha256,
            "logits": observer.meaning,
            "noise": noise.describe(),
            "seed": seed,
            "precision": precision,
            "block_images": self.block_images,
            "shard_blocks": self.shard_blocks,
            "layers": list(layers),
            "paired": noise.symmetric,
            "accumulators": [accumulator.describe() for accumulator in self.accumulators],
            "versions": versions | observer.versions,
            "machine": backend.machine(),
            "only": list(observer.only),
        }
        if observer.class_names:
            identity["class_names"] = list(observer.class_names)
        if noise.at_threshold:
            identity["at_threshold"] = dataclasses.asdict(noise.at_threshold)
        few = FEW_IMAGES if observer.is_large else COMPARED_ANSWERS
        first = self.block(0, min(few, self.block_images))
        self.first_logits = ops.convert_to_numpy(first["logits"])
        answers = self.first_logits[:COMPARED_ANSWERS, :COMPARED_ANSWERS]
        identity["answers"] = [[float(f"{z:.6g}") for z in row] for row in answers]
        self.identity = json.loads(json.dumps(identity))  # as it will be when read from a file

    def differing(self, kept):
        """Return in what a record differs from this pass: a list of the names of its entries.

        Answers to noise may differ in their last digits, as they do with another number of threads.
        """
        found = [key for key in kept | self.identity if kept.get(key) != self.identity.get(key)]
        if found != ["answers"]:
            return [key for key in found if key != "answers"]  # which follow from the others
        here, there = np.array(self.identity["answers"]), np.array(kept.get("answers"), float)
        same = here.shape == there.shape and np.abs(here - there).max() <= SAME * np.ptp(here)
        return [] if same else found

    @property
    def digest(self):
        """Eight hexadecimal digits that stand for the identity in the name of a file."""
        sure = {key: value for key, value in self.identity.items() if key != "answers"}
        return hashlib.sha256(json.dumps(sure).encode()).hexdigest()[:8]

    def shard_sums(self, index, images=None, progress=None):
        """Return the sums of a shard, or of its first images: {accumulator: {name: (2, ...)}}.

        The first row is for even shards and the second for odd ones; one of them is zero.

        Args:
            index, images: of the shard, and how many of its images.
            progress: is told of every few images that they were shown, if the observer has no
                graph to compile; else of all at the end.

        Raises:
            UserError: if the observer answers NaN or infinity.
        """
        images = self.shard_images if images is None else images
        with self.where_it_lives():
            first = index * self.shard_blocks
            computed = self._shard(first, images, progress or (lambda images: None))
        sums = {}
        for accumulator in self.accumulators:
            tensors = computed[accumulator.name]
            shard = {n: ops.convert_to_numpy(t).astype(np.float64) for n, t in tensors.items()}
            refuse_nan(self.name, *shard.values())
            halves = sums[accumulator.name] = {}
            for name, value in accumulator.finish(shard).items():
                halves[name] = np.zeros((2, *value.shape))
                halves[name][index % 2] = value
        return sums

    def where_it_lives(self):
        """Return a context in which tensors are made on the observer's device, if it has one."""
        return framework.inference(self.observer.device)

    def block(self, index, images, orthogonal=None):
        """Draw a block and show it; return what accumulators are given, a dictionary of tensors.

        Args:
            index, images: of the block, and how many of its stimuli.
            orthogonal: what `orthogonal` gave for its shard, if that was asked already.
        """
        with self.where_it_lives():
            return self.answered(self.numbers(index, images, orthogonal), images)

    def orthogonal(self, first):
        """Draw the orthogonal numbers of the shard that begins with a block; None without any."""
        if not self.noise.orthogonal_coordinates:
            return None
        return self.noise.orthogonal_numbers(self.seed, first // self.shard_blocks)

    def numbers(self, index, images, orthogonal=None):
        """Draw the numbers xi of a block."""
        drawn = (images + 1) // 2 if self.noise.symmetric else images
        if self.noise.orthogonal_coordinates:
            row = index % self.shard_blocks * (self.block_images // 2)
            shard = index // self.shard_blocks
            return self.noise.xi(self.seed, shard, drawn, row, orthogonal)
        return self.noise.xi(self.seed, index, drawn)

    def stimuli(self, xi, images):
        """Make the stimuli of numbers xi, without the base, mirror images last."""
        fluctuation = self.noise.fluctuation(xi)
        if not self.noise.symmetric:
            return fluctuation
        return ops.concatenate([fluctuation, -fluctuation[: images // 2]], axis=0)

    def answered(self, xi, images):
        """Show what numbers xi stand for; return what accumulators are given."""
        stimuli = self.stimuli(xi, images)
        shown, block = self.noise.about(stimuli), {"xi": xi, "stimuli": stimuli}
        if self.responses is None:
            return {**block, "logits": self._logits_of(ops.convert_to_numpy(shown))}
        answers = self.responses(shown, training=False)
        return {**block, **{name: ops.cast(t, "float32") for name, t in answers.items()}}

    def _logits_of(self, shown):
        return ops.convert_to_tensor(self.observer.logits_of(shown))

    def least_correlation(self, sums):
        """Return the least expected correlation of an image with its truth, from sums so far."""
        least = [
            accumulator.least_correlation(sums[accumulator.name], self.noise)
            for accumulator in self.accumulators
            if sums.get(accumulator.name)
        ]
        return min((value for value in least if value is not None), default=None)

    def zeros(self):
        """Return the sums before the first block."""
        return {
            accumulator.name: {
                name: ops.zeros(shape) for name, shape in accumulator.zeros().items()
            }
            for accumulator in self.accumulators
        }

    def added(self, sums, index, block, block_sums=None):
        """Return the sums with those of a block added.

        Args:
            sums: of what came before.
            index, block: of the block, and what `answered` returned.
            block_sums: what is called instead of an accumulator's `block`, by its name.
        """

        def added(accumulator):
            of_block = block_sums[accumulator.name] if block_sums else accumulator.block
            before, more = sums[accumulator.name], of_block(block)
            return {name: before[name] + more[name] for name in before}

        return {
            accumulator.name: framework.where(
                self._counts(index, accumulator.every),
                functools.partial(added, accumulator),
                functools.partial(sums.get, accumulator.name),
            )
            if accumulator.every > 1
            else added(accumulator)
            for accumulator in self.accumulators
        }

    def _counts(self, index, every):
        """Say whether a block is among those, one in `every`, that an accumulator sums.

        They lie in even shards and in odd ones, so that there are two halves.
        """
        within = min(every, self.shard_blocks)
        shard, part = index // self.shard_blocks, index % self.shard_blocks
        return (part % within == 0) & (shard // 2 % (every // within) == 0)

    def _by_blocks(self):
        """Return a function for the sums of one shard if the observer has no graph to compile."""
        size = self.block_images

        @framework.as_graph
        def drawn(index, images, orthogonal):
            xi = self.numbers(index, images, orthogonal)
            stimuli = self.stimuli(xi, images)
            return {"xi": xi, "stimuli": stimuli}, self.noise.about(stimuli)

        added = framework.as_graph(self.added)
        orthogonal_numbers = framework.as_graph(self.orthogonal)

        def shard(first, images, progress):
            """Return the sums over `images` stimuli, from block `first` on; say how far it is."""
            sums, orthogonal = self.zeros(), orthogonal_numbers(first)
            counts = [min(size, images - start) for start in range(0, images, size)]

            def block_of(index):
                with self.where_it_lives():  # which another thread does not know
                    return drawn(first + index, counts[index], orthogonal)

            with ThreadPoolExecutor(1) as ahead:  # a block is drawn while another is answered
                following = ahead.submit(block_of, 0)
                for index, count in enumerate(counts):
                    block, shown = following.result()
                    if index + 1 < len(counts):
                        following = ahead.submit(block_of, index + 1)
                    block["logits"] = self._logits_of(ops.convert_to_numpy(shown))
                    sums = added(sums, first + index, block)
                    progress(count)
            return sums

        return shard
