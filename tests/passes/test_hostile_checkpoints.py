"""Checkpoints made by hand: none is continued whose parts do not belong together."""

import json

import numpy as np
import pytest

from reverse_correlation import UserError, WhiteNoise, measure

BLOCK = 2048  # images of a shard


def looker(images):
    """An observer of three classes."""
    return images[:, :3, 0, 0] - images[:, :3, 1, 0]


def run(count, checkpoint):
    noise = WhiteNoise(shape=(4, 4, 1))
    return measure(looker, noise, count, checkpoint=checkpoint, progress=False)


def told(arrays, **fields):
    record = json.loads(str(arrays["provenance"])) | fields
    return arrays | {"provenance": np.array(json.dumps(record))}


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """The arrays of a checkpoint of nine shards, and those of the measurement."""
    path = tmp_path_factory.mktemp("kept") / "sums.npz"
    run(9 * BLOCK, path).save(path.with_name("whole.npz"))
    with np.load(path) as file, np.load(path.with_name("whole.npz")) as whole:
        return dict(file), dict(whole)


def without(arrays, end):
    return {name: value for name, value in arrays.items() if not name.endswith(end)}


@pytest.mark.parametrize(
    "change",
    [
        lambda kept, whole: told(kept, shards="9"),
        lambda kept, whole: told(kept, shards=[9]),
        lambda kept, whole: told(kept, shards=-9, count=-9 * BLOCK),
        lambda kept, whole: told(kept, shards=10**12, count=10**12 * BLOCK),
        lambda kept, whole: told(kept, shards=10, count=10 * BLOCK),
        lambda kept, whole: told(kept, count=1),
        lambda kept, whole: without(kept, ":0"),
        lambda kept, whole: without(kept, ":ox:1"),
        lambda kept, whole: kept | {"classes:n:1": np.array([np.nan, 1])},
        lambda kept, whole: without(kept, "classes:ox:0") | {"classes:ox:0": np.zeros((2, 1))},
        lambda kept, whole: {
            n: np.zeros(2) if ":" in n and n[0] == "c" else v for n, v in kept.items()
        },
        lambda kept, whole: whole,  # whose sums are those of all shards together
    ],
)
def test_a_checkpoint_whose_parts_do_not_belong_together_is_refused(change, kept, tmp_path):
    np.savez(tmp_path / "sums.npz", **change(*kept))
    with pytest.raises(UserError, match="sums.npz (is not a measurement|does not hold the sums)"):
        run(10 * BLOCK, tmp_path / "sums.npz")


def test_a_checkpoint_that_is_whole_is_continued(kept, tmp_path):
    np.savez(tmp_path / "sums.npz", **kept[0])
    assert run(10 * BLOCK, tmp_path / "sums.npz").count == 10 * BLOCK
