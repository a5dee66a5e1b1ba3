"""What is said before a long pass."""

import numpy as np
import pytest
from small_observers import observer

from reverse_correlation import WhiteNoise, observers
from reverse_correlation.observers.observer_of import observer_of
from reverse_correlation.passes import first_look
from reverse_correlation.passes.first_look import base_remark, range_remark
from reverse_correlation.passes.noise_pass import NoisePass


@pytest.mark.parametrize(
    ("seconds", "said", "whole"),
    [
        (140.2, "140 s for 1,000", "2,804 s"),
        (12_345, "12,345 s for 1,000", "246,900 s"),
        (9.96, "10 s for 1,000", "199 s"),
        (2.345, "2.3 s for 1,000", "47 s"),
        (0.0456, "0.046 s for 1,000", "0.91 s"),
    ],
)
def test_a_time_is_printed_as_people_write_it(seconds, said, whole, monkeypatch, rng):
    work = NoisePass(observer(rng.normal(size=(4, 4, 1, 2))), WhiteNoise(shape=(4, 4, 1)))
    ticks = iter([0, seconds * 2 * work.block_images / 1000])
    monkeypatch.setattr(first_look.time, "perf_counter", lambda: next(ticks))
    (remark,) = first_look.speed_remarks(work, 20_000)
    assert f"({said})" in remark and f"20,000 images at most, {whole} here" in remark


# ----------------------------------------------------------------------- is the input range right?

SHAPE = (6, 6, 1)
RNG = np.random.default_rng(0)
WEIGHTS = RNG.normal(size=(*SHAPE, 3)).astype(np.float32)


def trained_on(low, high):
    """A function that tells images from low to high apart, and calls all darker ones "a"."""

    def answer(images):
        unit = (images - low) / (high - low)
        seen = np.tensordot(unit - 0.5, WEIGHTS, 3)
        return seen + np.where(unit.mean(axis=(1, 2, 3)) < 0.2, 100, 0)[:, None] * [1, 0, 0]

    return observers.function(answer, name="net")


def test_an_input_range_that_looks_wrong_is_said_with_the_flag_of_another():
    noise = WhiteNoise(shape=SHAPE, contrast=0.15)
    observer = trained_on(0, 255).looked(noise)
    said = range_remark(observer, noise, "abc")
    assert "its answer to 100% of 100 noise images is a" in said
    assert "with --input-range 0 255 it would give 3 different answers" in said
    right = WhiteNoise(shape=SHAPE, low=0, high=255, contrast=0.15)
    assert range_remark(observer.looked(right), right, "abc") == ""


def test_an_observer_with_one_answer_in_every_range_is_not_accused_of_a_wrong_one():
    noise = WhiteNoise(shape=SHAPE)
    always = observers.function(lambda images: np.tile([5.0, 0, 0], (len(images), 1)) + 1e-3
                                * images[:, 0, 0], name="net").looked(noise)  # fmt: skip
    assert range_remark(always, noise, "abc") == ""


@pytest.mark.parametrize("base", [0.5, RNG.random(SHAPE)], ids=["grey", "an image"])
def test_the_answer_to_the_base_is_said_with_its_probability(base):
    noise = WhiteNoise(shape=SHAPE, base=base, contrast=0.1)
    network = observer(WEIGHTS)
    image = np.broadcast_to(np.float32(base), SHAPE)[None]
    p = network.predict(image, verbose=0)[0]
    said = base_remark(observer_of(network, noise), noise, ["x", "y", "z"])
    assert (
        said
        == f"observer: its answer to the base is {'xyz'[p.argmax()]}, p = "
        + f"{p.max():.2f}"[1 if p.max() < 0.995 else 0 :]
    )
    labels = observers.function(lambda images: np.ones(len(images), int), name="net")
    assert base_remark(labels.looked(noise, 3), noise, "abc") == "net: its answer to the base is b"
