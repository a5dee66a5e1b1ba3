"""A pass that is killed, stopped, extended or starved of disk."""

import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest

import reverse_correlation
from noise import WhiteNoise
from reverse_correlation import Measurement, Shards, SumTree, measure

ROOT = Path(reverse_correlation.__file__).parent
NOISE = WhiteNoise(shape=(10, 9, 1))
SHARD = 400  # images, with blocks of 50
COUNT = 250 * SHARD + 30


def network(seed=0):
    keras.utils.set_random_seed(seed)
    images = keras.Input(NOISE.shape)
    x = keras.layers.Conv2D(3, 3, activation="relu", name="conv")(images)
    x = keras.layers.Dense(4, name="logits")(keras.layers.Flatten()(x))
    return keras.Model(images, keras.layers.Softmax()(x), name="small")


@pytest.fixture(autouse=True)
def small_blocks_saved_every_shard(monkeypatch):
    monkeypatch.setattr(reverse_correlation, "BLOCK_IMAGES", SHARD // 8)
    monkeypatch.setattr(reverse_correlation, "SAVE_SECONDS", 0)


def run(count=COUNT, model=None, **kwargs):
    return measure(model or network(), NOISE, count, layers=["conv"], progress=False, **kwargs)


def same_bits(first, second):
    return first.sums.keys() == second.sums.keys() and all(
        np.array_equal(first.sums[kind][name], second.sums[kind][name])
        for kind in first.sums
        for name in first.sums[kind]
    )


def shards_in(path):
    return Measurement.load(path).provenance["shards"] if path.exists() else 0


SCRIPT = """
import sys, reverse_correlation
from test_resume import SHARD, run
reverse_correlation.BLOCK_IMAGES, reverse_correlation.SAVE_SECONDS = SHARD // 8, 0
run(checkpoint=sys.argv[1]).save(sys.argv[2])
"""


def test_killed_at_several_moments_it_ends_with_the_same_bits(tmp_path):
    checkpoint, result = tmp_path / "sums.npz", tmp_path / "result.npz"
    command = [sys.executable, "-c", SCRIPT, checkpoint, result]
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    for moment in (1, 60, 61, None):  # shards after which the process is killed
        process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": paths})
        if moment is None:
            assert process.wait(timeout=120) == 0
            break
        deadline = time.monotonic() + 120
        while shards_in(checkpoint) < moment and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert not result.exists() and shards_in(checkpoint) >= moment
    assert same_bits(Measurement.load(result), run())


def test_interrupted_by_hand_it_saves_and_continues(tmp_path, monkeypatch):
    monkeypatch.setattr(reverse_correlation, "SAVE_SECONDS", 1e9)
    checkpoint, add = tmp_path / "sums.npz", SumTree.add

    def stop_at_shard_five(tree, *sums):
        add(tree, *sums)
        if tree.done == 5:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(SumTree, "add", stop_at_shard_five)
    with pytest.raises(KeyboardInterrupt):
        run(20 * SHARD, checkpoint=checkpoint)
    monkeypatch.setattr(SumTree, "add", add)
    assert shards_in(checkpoint) == 5
    whole = run(20 * SHARD)
    assert same_bits(run(20 * SHARD, checkpoint=checkpoint), whole)


def test_asking_for_more_continues_and_for_less_starts_afresh(tmp_path, monkeypatch):
    checkpoint = tmp_path / "sums.npz"
    run(5 * SHARD + 7, checkpoint=checkpoint)
    assert shards_in(checkpoint) == 5
    shown, sums = [], Shards.sums
    monkeypatch.setattr(Shards, "sums", lambda *args: (shown.append(args[1]), sums(*args))[1])
    more = run(9 * SHARD + 3, checkpoint=checkpoint)
    assert shown == [5, 6, 7, 8, 9] and shards_in(checkpoint) == 9
    shown.clear()
    less = run(2 * SHARD, checkpoint=checkpoint)
    assert shown == [0, 1] and shards_in(checkpoint) == 9  # nothing computed is lost
    monkeypatch.setattr(Shards, "sums", sums)
    assert same_bits(more, run(9 * SHARD + 3)) and same_bits(less, run(2 * SHARD))
    assert more.count == 9 * SHARD + 3


def test_a_checkpoint_of_other_settings_is_never_mixed_in(tmp_path):
    checkpoint = tmp_path / "sums.npz"
    run(2 * SHARD, checkpoint=checkpoint)
    before = checkpoint.read_bytes()
    for wrong, what in [
        ({"seed": 1}, "seed"),
        ({"model": network(seed=1)}, "network_sha256"),
    ]:
        with pytest.raises(ValueError, match=f"another run .it differs in {what}"):
            run(2 * SHARD, checkpoint=checkpoint, **wrong)
    with pytest.raises(ValueError, match="differs in noise, layers"):
        measure(network(), WhiteNoise("uniform", NOISE.shape), SHARD, checkpoint=checkpoint)
    assert checkpoint.read_bytes() == before


def test_a_damaged_checkpoint_is_refused_by_name(tmp_path):
    checkpoint = tmp_path / "sums.npz"
    run(2 * SHARD, checkpoint=checkpoint)
    checkpoint.write_bytes(checkpoint.read_bytes()[:-3000])
    with pytest.raises(ValueError, match="sums.npz is not a whole measurement"):
        run(2 * SHARD, checkpoint=checkpoint)


def test_a_full_disk_is_one_sentence_and_leaves_the_last_checkpoint(tmp_path, monkeypatch):
    checkpoint = tmp_path / "sums.npz"
    run(2 * SHARD, checkpoint=checkpoint)
    before = checkpoint.read_bytes()

    def full(file, **arrays):
        file.write(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(reverse_correlation.np, "savez", full)
    with pytest.raises(OSError, match="cannot write .*No space left.*intact"):
        run(4 * SHARD, checkpoint=checkpoint)
    assert checkpoint.read_bytes() == before and list(tmp_path.iterdir()) == [checkpoint]


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
    with pytest.raises(ValueError, match="cannot be added after"):
        here.add(shards[0], 1)
