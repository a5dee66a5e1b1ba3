"""Passes and their results, as several tests need them."""

import functools
from unittest import mock

import numpy as np
from keras import ops

from reverse_correlation import Measurement, WhiteNoise, measure
from reverse_correlation.estimates.findings import Result, Shown, class_findings
from reverse_correlation.estimates.sums import added_up, read_sums
from reverse_correlation.figures import style
from reverse_correlation.observers.observer_of import observer_of
from reverse_correlation.passes.noise_pass import NoisePass
from reverse_correlation.stimuli.orthogonal import ROWS

PASSED = ("seed", "layers", "only", "prediction_images")  # on to `measure`


def show(network, count=100_000, kind="gaussian", orthogonal=True, **kwargs):
    """Measure a network with white noise of its own shape."""
    noise = WhiteNoise(kind, tuple(network.inputs[0].shape[1:]), orthogonal=orthogonal)
    return measure(network, noise, count, progress=False, **kwargs)


def result_of(model, noise, count, *, title="net", shown="pure noise", names=(), **given):
    """Measure anything that answers images, and return what a page says of it: a Result.

    Args:
        model, noise, count: as for `measure`; `noise` may be several, each with its title.
        title, shown: of the observer, and of the ensemble.
        names: of the classes.
        given: seed, layers, only and prediction_images as for `measure`; what else a Result has.
    """
    how = {key: given.pop(key) for key in PASSED if key in given}
    several = noise if isinstance(noise, dict) else {shown: noise}
    only = how.get("only", ())
    observer, parts = observer_of(model, next(iter(several.values())), only=only), []
    for each, ensemble in several.items():
        found = measure(observer, ensemble, count, progress=False, **how)
        parts.append(Shown(each, found, class_findings(found)))
    class_names = found.class_names(names)
    return Result(observer, title, title, class_names, tuple(parts), **given)


def measurements(network, times, images, shards=1, layers=(), orthogonal=False, noise=None):
    """Yield independent measurements of so many images, each of so many shards, of one pass.

    The noise is white, unless there is another. A shard of orthogonal numbers has 2,048 images,
    whatever is asked for.
    """
    if noise is None:
        noise = WhiteNoise(shape=tuple(network.inputs[0].shape[1:]), orthogonal=orthogonal)
    work = NoisePass(network, noise, layers=layers, block_images=images // shards // 8)
    told = {**work.identity, "shards": shards, "count": shards * work.shard_images}
    for first in range(0, times * shards, shards):
        sums = [work.shard_sums(shard) for shard in range(first, first + shards)]
        yield Measurement(added_up(sums), told, noise)


def drawn(noise, count, block_images, seed=0):
    """Return the stimuli of a pass, with their mirror images: (count, h, w, c) float32.

    With orthogonal numbers, `block_images` is rounded down as in a pass: to twice a power of two.
    """
    block_images = images_of_a_part(block_images) if noise.orthogonal_coordinates else block_images
    shown, at_once = (
        [],
        functools.cache(lambda shard: ops.convert_to_numpy(noise.draw(seed, shard, ROWS))),
    )
    for block in range(-(-count // block_images)):
        images = min(block_images, count - block * block_images)
        pairs = -(-images // 2)
        if noise.orthogonal_coordinates:  # the next rows of the numbers of a shard
            shard, row = divmod(block * (block_images // 2), ROWS)
            first = at_once(shard)[row : row + pairs]
        else:
            first = ops.convert_to_numpy(noise.draw(seed, block, pairs))
        shown += [first, 2 * noise.mean - first[: images // 2]]
    return np.concatenate(shown).astype(np.float32)


def images_of_a_part(block_images):
    """Return how many images a pass shows at once of a block of orthogonal numbers, if asked."""
    return max(2**power for power in range(1, 11) if power == 1 or 2**power <= block_images)


def covariance_of_rows(responses, signals):
    """Covariance of responses (n, R) and signals (n, h, w, c), by brute force: (R, h, w, c)."""
    flat = np.float64(signals).reshape(len(signals), -1)
    centred = (responses - responses.mean(axis=0)).T @ (flat - flat.mean(axis=0))
    return (centred / len(flat)).reshape(-1, *signals.shape[1:])


def same_bits(first, second):
    """Whether two measurements have the same sums, to the last bit."""
    ours, theirs = _by_name(first.sums), _by_name(second.sums)
    return ours.keys() == theirs.keys() and all(np.array_equal(ours[k], theirs[k]) for k in ours)


def _by_name(sums):
    return {
        (accumulator, name): value
        for accumulator, named in sums.items()
        for name, value in named.items()
    }


def unrendered():
    """Return a context in which figures are made, but nothing is rendered into their files."""
    return mock.patch.object(style, "png", lambda figure: b"not rendered")


def shards_in(path):
    """Return how many shards a checkpoint holds; 0 where there is none yet."""
    return read_sums(path)[1]["shards"] if path.exists() else 0
