"""Noise about an image is shown at the contrast at which the observer still sees the image."""

import numpy as np
import pytest
from keras import ops
from scipy import stats
from small_observers import observer

from reverse_correlation import (
    CoarseNoise,
    Measurement,
    Network,
    PinkNoise,
    SinusoidNoise,
    UserError,
    WhiteNoise,
    measure,
    observers,
)
from reverse_correlation.observers.observer_of import observer_of
from reverse_correlation.passes.threshold import TOLERANCE, at_threshold, needs_contrast

SHAPE = (6, 5, 1)
RNG = np.random.default_rng(2)
TEMPLATE = RNG.normal(size=SHAPE)
BASE = np.full(SHAPE, 0.5, np.float32) + 0.05 * np.sign(TEMPLATE).astype(np.float32)
NETWORK = observer(np.stack([-TEMPLATE, TEMPLATE], axis=-1), [0.0, -np.sum(TEMPLATE)])
DRIVE = float(np.sum(TEMPLATE * (2 * BASE - 1)))  # difference of the two logits at the base


def survival(contrast):
    """The share of white noise that leaves a linear observer's answer: Phi(drive / deviation)."""
    return stats.norm.cdf(DRIVE / (2 * contrast * np.linalg.norm(TEMPLATE)))


def labels(images):
    drive = np.tensordot(images, TEMPLATE.astype(np.float32), 3) - np.sum(TEMPLATE) / 2
    return (drive > 0).astype(int)


@pytest.mark.parametrize("survive", [0.75, 0.6, 0.95])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_answer_of_a_linear_observer_survives_in_the_share_that_was_asked_for(survive, seed):
    noise = at_threshold(observer_of(NETWORK, WhiteNoise(shape=SHAPE)),
                         WhiteNoise(shape=SHAPE, base=BASE), survive, seed)  # fmt: skip
    found = noise.at_threshold
    assert survival(noise.contrast) == pytest.approx(survive, abs=TOLERANCE)
    error = np.sqrt(survive * (1 - survive) / 1024)
    assert found.survived == pytest.approx(survival(noise.contrast), abs=4 * error)
    assert found.answer == 1 and not found.end and found.images < 7500


@pytest.mark.parametrize(
    "ensemble", [PinkNoise, CoarseNoise, SinusoidNoise], ids=lambda e: e.__name__
)
def test_it_survives_in_noise_of_other_numbers_too(ensemble):
    shape = (8, 8, 1)
    template = np.random.default_rng(5).normal(size=shape)
    base = 0.5 + 0.02 * np.sign(template)
    network = observer(np.stack([-template, template], axis=-1), [0.0, -np.sum(template)])
    noise = at_threshold(Network(network), ensemble(shape=shape, base=base))
    images = ops.convert_to_numpy(noise.draw(99, 0, 4000))
    kept = np.mean(network.predict(images, verbose=0).argmax(axis=1) == noise.at_threshold.answer)
    assert kept == pytest.approx(0.75, abs=TOLERANCE + 4 * np.sqrt(0.75 * 0.25 / 4000))


def test_the_search_draws_numbers_that_no_pass_draws(monkeypatch):
    """Else the contrast would be chosen on the very images that are then measured."""
    drawn = set()
    xi = WhiteNoise.xi

    def noted(noise, seed, *where):
        drawn.add(seed)
        return xi(noise, seed, *where)

    noise = WhiteNoise(shape=SHAPE, base=BASE)
    seen = observer_of(NETWORK, noise)
    monkeypatch.setattr(WhiteNoise, "xi", noted)
    at_threshold(seen, noise, seed=7)
    assert len(drawn) == 1 and min(drawn) >= 2**32  # seeds of passes are below
    first = drawn.pop()
    at_threshold(seen, noise, seed=8)
    assert drawn.pop() != first


def test_functions_and_labels_have_the_same_threshold_as_the_network():
    noise = WhiteNoise(shape=SHAPE, base=BASE)
    network = measure(NETWORK, noise, 2048, progress=False)
    answered = measure(labels, noise, 2048, classes=2, progress=False)
    function = observers.function(lambda images: NETWORK.predict(images, verbose=0))
    called = measure(function, noise, 2048, progress=False)
    first, *others = (m.provenance["at_threshold"] for m in (network, answered, called))
    assert others == [first, first]
    assert network.noise.contrast == first["contrast"] != noise.contrast


def test_a_contrast_that_was_given_is_kept_and_grey_has_the_published_one():
    for noise in (
        WhiteNoise(shape=SHAPE, base=BASE, contrast=0.3),
        WhiteNoise(shape=SHAPE),
        WhiteNoise(shape=SHAPE, base=0.4),
        WhiteNoise(shape=SHAPE, base=np.full(SHAPE, 0.4)),  # an image of one grey is grey
    ):
        assert not needs_contrast(noise)
        seen = measure(NETWORK, noise, 2000, progress=False)
        assert seen.noise.contrast == noise.contrast and "at_threshold" not in seen.provenance
    assert needs_contrast(WhiteNoise("binary", SHAPE, base=BASE).independent)


def test_an_answer_that_survives_everything_gets_the_usual_contrast_and_says_so(capsys):
    always = observer(np.stack([-TEMPLATE, TEMPLATE], axis=-1), [0.0, 1000.0])
    seen = measure(always, WhiteNoise(shape=SHAPE, base=BASE), 2000)
    assert seen.noise.contrast == WhiteNoise().contrast
    assert seen.provenance["at_threshold"]["end"] == "largest"
    printed = capsys.readouterr().out
    assert (
        "contrast .289: its own answer, class 1, survives in 100% of the noise, and as it survives "
        "in 75% or more at every contrast up to 1, the largest that fits" in printed
    )


def test_an_answer_that_survives_nothing_gets_the_smallest_contrast_and_says_so(capsys):
    def on_the_edge(images):
        steep = 1e3 * np.abs(images - BASE).max(axis=(1, 2, 3))
        return np.stack([steep, np.full(len(images), 1e-3), images.sum(axis=(1, 2, 3))], axis=1) * [
            1, 1, 1e-5]  # fmt: skip

    seen = measure(on_the_edge, WhiteNoise(shape=SHAPE, base=BASE), 2000)
    found = seen.provenance["at_threshold"]
    assert found["end"] == "smallest" and found["survived"] == 0 and found["answer"] == 1
    assert "survives in only 0% of the noise; this is the smallest" in capsys.readouterr().out


def test_it_is_the_first_loss_that_counts_where_strong_noise_gets_the_same_answer():
    """The answer to the base is also that to all strong noise, but not to what is in between."""

    def answer(images):
        distance = np.sqrt(np.mean((images - BASE) ** 2, axis=(1, 2, 3)))
        between = np.where((distance > 0.05) & (distance < 0.3), 1.0, -1.0)
        return np.stack([np.zeros(len(images)), between + images[:, 0, 0, 0] * 1e-3], axis=1)

    noise = at_threshold(
        observer_of(answer, WhiteNoise(shape=SHAPE)), WhiteNoise(shape=SHAPE, base=BASE)
    )
    assert 0.04 < noise.contrast < 0.06


def test_the_record_keeps_how_the_contrast_was_found_and_a_pass_goes_on_from_it(tmp_path):
    noise = WhiteNoise(shape=SHAPE, base=BASE)
    path = tmp_path / "sums.npz"
    measure(NETWORK, noise, 4096, checkpoint=path, progress=False)
    more = measure(NETWORK, noise, 8192, checkpoint=path, progress=False)
    whole = measure(NETWORK, noise, 8192, progress=False)
    assert np.array_equal(more.classes["logit"].covariance, whole.classes["logit"].covariance)
    whole.save(tmp_path / "all.npz")
    loaded = Measurement.load(tmp_path / "all.npz")
    assert loaded.provenance["at_threshold"] == more.provenance["at_threshold"]
    assert loaded.noise.contrast == whole.noise.contrast and not needs_contrast(loaded.noise)


@pytest.mark.parametrize("survive", [0, 1, 1.5, -0.1])
def test_a_share_that_is_none_is_refused(survive):
    with pytest.raises(UserError, match="between 0 and 1"):
        measure(NETWORK, WhiteNoise(shape=SHAPE, base=BASE), 2000, survive=survive)


# ----------------------------------------------------------------------- counts as people type them


def test_a_count_may_be_written_as_a_float_and_one_class_needs_no_brackets():
    noise = WhiteNoise(shape=SHAPE)
    first = measure(NETWORK, noise, 2e3, only=1, progress=False)
    second = measure(NETWORK, noise, 2000, only=(1,), progress=False)
    assert first.count == 2000 and first.class_indices.tolist() == [1]
    for name in first.classes:
        assert np.array_equal(first.classes[name].covariance, second.classes[name].covariance)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"count": 1000.5}, "the number of noise images must be a whole number"),
        ({"count": "1000"}, "the number of noise images must be a whole number.*'1000'"),
        ({"count": float("nan")}, "the number of noise images must be a whole number"),
        ({"count": True}, "the number of noise images must be a whole number"),
        ({"only": 0.5}, "a class to measure must be a whole number"),
        ({"only": ("a",)}, "a class to measure must be a whole number"),
        ({"only": 7}, "classes 7 cannot be chosen"),
        ({"seed": 1.5}, "the seed must be a whole number"),
        ({"classes": 2.5}, "the number of classes must be a whole number"),
    ],
)
def test_what_is_not_a_whole_number_is_a_sentence(given, sentence):
    given = {"count": 1000, **given}
    with pytest.raises(UserError, match=sentence):
        measure(NETWORK, WhiteNoise(shape=SHAPE), progress=False, **given)
