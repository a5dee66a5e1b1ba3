"""Sums that add in any order of work, and a pass that is killed, stopped or starved of disk."""

import math
import os
import signal
import subprocess
import time

import keras
import numpy as np
import pytest
from helpers import same_bits, shards_in

from reverse_correlation import UserError, WhiteNoise, measure
from reverse_correlation.errors import FileError
from reverse_correlation.estimates.sums import read_sums, write_sums
from reverse_correlation.passes.noise_pass import NoisePass
from reverse_correlation.passes.shards import SumTree

NOISE = WhiteNoise(shape=(10, 9, 1), orthogonal=False)
ORTHOGONAL = WhiteNoise(shape=(10, 9, 1))
BLOCK = 125
SHARD = 8 * BLOCK  # images
SHARD_OF = {NOISE: SHARD, ORTHOGONAL: 2048}
FILES = {NOISE: "independent.npz", ORTHOGONAL: "orthogonal.npz"}
BOTH = pytest.mark.parametrize("noise", SHARD_OF, ids=["independent", "orthogonal"])


def network(seed=0):
    keras.utils.set_random_seed(seed)
    images = keras.Input(NOISE.shape)
    x = keras.layers.Conv2D(3, 3, activation="relu", name="conv")(images)
    x = keras.layers.Dense(4, name="logits")(keras.layers.Flatten()(x))
    return keras.Model(images, keras.layers.Softmax()(x), name="small")


def run(count, model=None, noise=NOISE, **kwargs):
    """Measure the small network in small blocks, saved at every shard."""
    blocks = {"block_images": SHARD_OF[noise] // 8}
    kwargs = {"layers": ["conv"], "save_seconds": 0, **blocks, **kwargs}
    return measure(model or network(), noise, count, progress=False, **kwargs)


ENDLESS = """
import sys, threading
from pathlib import Path
from passes.test_sums_and_resume import FILES, SHARD_OF, network, run

def measure(noise, model):
    run(10**6 * SHARD_OF[noise], model, noise, checkpoint=Path(sys.argv[1], FILES[noise]))

passes = [threading.Thread(target=measure, args=(noise, network())) for noise in SHARD_OF]
print("ready", flush=True)
sys.stdin.readline()
for each in passes:
    each.start()
"""


def test_killed_at_several_moments_it_ends_with_the_same_bits(tmp_path, processes):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    moments = (1, 10)  # shards after which a process is killed, whatever it is doing
    waiting = [processes.python(ENDLESS, tmp_path, **pipes) for _ in moments]  # to import at once

    def saved():
        return {noise: shards_in(tmp_path / FILES[noise]) for noise in SHARD_OF}

    for moment, process in zip(moments, waiting, strict=True):
        assert process.stdout.readline() == "ready\n"
        process.stdin.write("go\n")
        process.stdin.flush()
        deadline = time.monotonic() + 120
        while min(saved().values()) < moment and time.monotonic() < deadline:
            time.sleep(0.02)
        process.kill()
        process.wait()
        assert min(saved().values()) >= moment
    for noise, shards in saved().items():
        count = (shards + 10) * SHARD_OF[noise] + 30
        paths = tmp_path / FILES[noise], None
        resumed, whole = (run(count, noise=noise, checkpoint=path) for path in paths)
        assert same_bits(resumed, whole)


@BOTH
def test_interrupted_by_hand_it_saves_and_continues(noise, tmp_path, monkeypatch, interruptible):
    told = {"count": 9 * SHARD_OF[noise], "noise": noise}
    checkpoint, add = tmp_path / "sums.npz", SumTree.add

    def stop_at_shard_five(tree, *sums):
        add(tree, *sums)
        if tree.done == 5:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(SumTree, "add", stop_at_shard_five)
    with pytest.raises(KeyboardInterrupt):
        run(**told, checkpoint=checkpoint, save_seconds=1e9)
    monkeypatch.setattr(SumTree, "add", add)
    assert shards_in(checkpoint) == 5
    whole = run(**told)
    assert same_bits(run(**told, checkpoint=checkpoint), whole)


def test_asking_for_more_continues_and_for_less_starts_afresh(tmp_path, monkeypatch):
    checkpoint = tmp_path / "sums.npz"
    run(5 * SHARD + 7, checkpoint=checkpoint)
    assert shards_in(checkpoint) == 5
    shown, shard_sums = [], NoisePass.shard_sums

    def noted(work, index, *images, **how):
        shown.append(index)
        return shard_sums(work, index, *images, **how)

    monkeypatch.setattr(NoisePass, "shard_sums", noted)
    more = run(9 * SHARD + 3, checkpoint=checkpoint)
    assert shown == [5, 6, 7, 8, 9] and shards_in(checkpoint) == 9
    shown.clear()
    less = run(2 * SHARD, checkpoint=checkpoint)
    assert shown == [0, 1] and shards_in(checkpoint) == 9  # nothing computed is lost
    assert same_bits(more, run(9 * SHARD + 3)) and same_bits(less, run(2 * SHARD))
    assert more.count == 9 * SHARD + 3


def test_whole_blocks_of_orthogonal_numbers_continue_and_fewer_images_start_afresh(
    tmp_path, monkeypatch
):
    checkpoint, block = tmp_path / "sums.npz", SHARD_OF[ORTHOGONAL]
    run(2 * block + 7, noise=ORTHOGONAL, checkpoint=checkpoint)
    assert shards_in(checkpoint) == 3  # rounded up
    shown, shard_sums = [], NoisePass.shard_sums

    def noted(work, index, *images, **how):
        shown.append((index, *images))
        return shard_sums(work, index, *images, **how)

    monkeypatch.setattr(NoisePass, "shard_sums", noted)
    more = run(4 * block + 3, noise=ORTHOGONAL, checkpoint=checkpoint)
    assert shown == [(3,), (4,)] and shards_in(checkpoint) == 5
    shown.clear()
    less = run(2 * block, noise=ORTHOGONAL, checkpoint=checkpoint)
    assert shown == [(0,), (1,)] and shards_in(checkpoint) == 5  # nothing computed is lost
    shown.clear()
    least = run(block - 7, noise=ORTHOGONAL, checkpoint=checkpoint)
    assert shown == [(0, block - 7)] and shards_in(checkpoint) == 5
    assert (more.count, less.count, least.count) == (5 * block, 2 * block, block - 7)
    for measurement in (more, less, least):
        assert same_bits(measurement, run(measurement.count, noise=ORTHOGONAL))


@pytest.fixture(scope="module")
def two_shards(tmp_path_factory):
    """The bytes of a checkpoint of two shards."""
    path = tmp_path_factory.mktemp("checkpoint") / "sums.npz"
    run(2 * SHARD, checkpoint=path)
    return path.read_bytes()


@pytest.fixture
def checkpoint(two_shards, tmp_path):
    """A checkpoint of two shards, for a test to do with as it likes."""
    path = tmp_path / "sums.npz"
    path.write_bytes(two_shards)
    return path


def test_a_checkpoint_of_other_settings_is_never_mixed_in(checkpoint):
    before = checkpoint.read_bytes()
    for wrong, what in [
        ({"seed": 1}, "seed"),
        ({"model": network(seed=1)}, "network_sha256"),
        ({"block_images": 2 * BLOCK}, "block_images"),
        ({"layers": ()}, "layers, accumulators"),
    ]:
        with pytest.raises(UserError, match=f"another run .it differs in {what}.: delete it"):
            run(2 * SHARD, checkpoint=checkpoint, **wrong)
    with pytest.raises(UserError, match="differs in noise, block_images, layers"):
        measure(network(), WhiteNoise("uniform", NOISE.shape), SHARD, checkpoint=checkpoint)
    assert checkpoint.read_bytes() == before


def test_a_damaged_checkpoint_is_refused_by_name(checkpoint):
    checkpoint.write_bytes(checkpoint.read_bytes()[:-3000])
    with pytest.raises(UserError, match="sums.npz is not a whole measurement"):
        run(2 * SHARD, checkpoint=checkpoint)


def test_a_foreign_file_is_no_checkpoint_and_is_left_alone(checkpoint):
    np.savez(checkpoint, weights=np.ones(3))
    before = checkpoint.read_bytes()
    with pytest.raises(UserError, match="sums.npz is not a measurement") as refusal:
        run(2 * SHARD, checkpoint=checkpoint)
    assert "delete" not in str(refusal.value) and checkpoint.read_bytes() == before


def test_a_full_disk_is_one_sentence_and_leaves_the_last_checkpoint(checkpoint, monkeypatch):
    before = checkpoint.read_bytes()

    def full(file, **arrays):
        file.write(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(FileError, match="cannot write .*No space left.*intact"):
        run(4 * SHARD, checkpoint=checkpoint)
    assert checkpoint.read_bytes() == before and list(checkpoint.parent.iterdir()) == [checkpoint]


# --------------------------------------------------------------------------- sums


def random_sums(rng):
    return {"classes": {"r": rng.normal(size=(2, 3)) * 10.0 ** rng.integers(-6, 6)}}


@pytest.mark.parametrize("level", [1, 2])
def test_groups_added_elsewhere_give_the_same_bits(level):
    shards = [random_sums(np.random.default_rng(i)) for i in range(3 * 64 + 9)]
    here, elsewhere = SumTree(), SumTree()
    for sums in shards:
        here.add(sums)
    size = 8**level
    for first in range(0, len(shards) - size + 1, size):
        group = SumTree()
        for sums in shards[first : first + size]:
            group.add(sums)
        elsewhere.add(group.total(), level)
    for sums in shards[elsewhere.done :]:
        elsewhere.add(sums)
    assert np.array_equal(here.total()["classes"]["r"], elsewhere.total()["classes"]["r"])
    exact = [math.fsum(s["classes"]["r"][0, 0] for s in shards)]
    assert np.allclose(here.total()["classes"]["r"][0, 0], exact, rtol=1e-12)
    with pytest.raises(ValueError, match="cannot be added after") as bug:
        here.add(shards[0], 1)
    assert not isinstance(bug.value, UserError)


def test_sums_are_read_as_they_were_written(tmp_path, rng):
    levels = [random_sums(rng), {}, random_sums(rng)]
    base = rng.normal(size=(2, 3, 1))
    write_sums(tmp_path / "sums.npz", levels, {"seed": 3}, {"base": base})
    read, provenance, fields = read_sums(tmp_path / "sums.npz")
    assert np.array_equal(fields["base"], base)
    assert provenance == {"seed": 3} and len(read) == 3 and read[1] == {}
    for level in (0, 2):
        assert np.array_equal(read[level]["classes"]["r"], levels[level]["classes"]["r"])
