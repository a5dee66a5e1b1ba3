"""Choices of simulated people whose templates are known, and of networks on the same trials."""

import contextlib
import io

import numpy as np
import pytest
from small_observers import observer

from reverse_correlation import (
    GaborNoise,
    Measurement,
    PinkNoise,
    SinusoidNoise,
    SparseNoise,
    UserError,
    WhiteNoise,
    compare,
    measure_choices,
)
from reverse_correlation.estimates.accumulators import ACCUMULATORS
from reverse_correlation.estimates.class_sums import ChoiceSums, ClassSums
from reverse_correlation.estimates.correlation import correlations, cosines
from reverse_correlation.people.choices import network_choices, shown_pair, trial_numbers

SHAPE = (6, 6, 1)
NOISE = WhiteNoise(shape=SHAPE, contrast=0.1)
PIXELS = 36


def participant(template, noise, trials, rng, internal=0.0, seed=0):
    """Choices of a linear observer: the larger drive wins, and internal noise comes on top.

    Args:
        internal: standard deviation of the internal noise, in units of the drive's own.
    """
    drive = np.asarray(noise.fluctuation(trial_numbers(noise, seed, trials)))
    drive = drive.reshape(trials, -1) @ template.ravel()
    return np.sign(drive + internal * drive.std() * rng.normal(size=trials))


def test_a_participant_is_recovered_at_the_cosine_that_theory_predicts(rng):
    trials, internal, found = 400, 1.0, []
    for seed in range(12):
        template = rng.normal(size=SHAPE)
        choices = participant(template, NOISE, trials, rng, internal, seed)
        image = measure_choices(choices, NOISE, seed=seed).classes["choice"].covariance
        found.append(cosines(image, template[None])[0])
    snr2 = trials * 2 / np.pi / (1 + internal**2)  # h = 2 / pi: each of a pair is as likely
    expected = np.sqrt(snr2 / (snr2 + PIXELS - 1))
    assert abs(np.mean(found) - expected) < 4 * np.std(found) / np.sqrt(12) + 0.005


def test_reliability_and_expected_correlation_are_those_that_theory_predicts(rng):
    trials, internal, r, expected = 400, 0.5, [], []
    for seed in range(12):
        choices = participant(rng.normal(size=SHAPE), NOISE, trials, rng, internal, seed)
        estimate = measure_choices(choices, NOISE, seed=seed).classes["choice"]
        r.append(estimate.reliability[0])
        expected.append(estimate.expected_correlation[0])
    ratio = trials * 2 / np.pi / (1 + internal**2) / PIXELS  # of signal to error, in power
    for values, theory in ((r, ratio / (ratio + 1)), (expected, np.sqrt(ratio / (ratio + 1)))):
        assert abs(np.mean(values) - theory) < 4 * np.std(values) / np.sqrt(12) + 0.01


def test_the_image_of_choices_is_that_of_rcpyci():
    core = pytest.importorskip("rcpyci.core")
    noise, rng = SinusoidNoise((64, 64, 1), scales=(1, 2, 4, 8, 16)), np.random.default_rng(0)
    choices = rng.choice([-1, 1], size=60)
    ours = measure_choices(choices, noise, seed=3).classes["choice"].covariance[0, ..., 0]
    xi = trial_numbers(noise, 3, 60)
    theirs = core.compute_ci(np.zeros((64, 64)), choices[:, None], xi)
    scale = np.sum(ours * theirs) / np.sum(ours**2)
    assert np.allclose(scale * ours, theirs, atol=1e-5 * np.abs(theirs).max())


def test_the_informational_value_is_that_of_rcpyci(rng):
    infoval = pytest.importorskip("rcpyci.infoval")
    core = pytest.importorskip("rcpyci.core")
    noise, trials = SinusoidNoise((32, 32, 1), scales=(1, 2, 4), orthogonal=False), 400
    xi = trial_numbers(noise, 0, trials)
    np.random.seed(0)  # theirs is drawn from the global state
    with contextlib.redirect_stdout(io.StringIO()):
        null = infoval.generate_reference_distribution_2ifc(
            np.zeros((32, 32)), trials, n_scales=3, stimuli_params=xi, iter=4000
        )
    choices = participant(rng.normal(size=(32, 32, 1)), noise, trials, rng, 0.5)
    theirs = core.compute_ci(np.zeros((32, 32)), choices[:, None], xi, n_scales=3)
    theirs = infoval.compute_info_val_2ifc(theirs, null)[0]
    ours = measure_choices(choices, noise).classes["choice"].info_value[0]
    # their MAD is not in units of a deviation; their null has these very stimuli, whose own power
    # is off by 1 / sqrt(trials) of its deviation
    assert abs(1.4826 * ours - theirs) < 4 * 1.4826 / np.sqrt(trials) + 0.04 * theirs
    assert theirs > 5


def test_every_trial_counts_as_two_images_and_its_error_is_known(rng):
    choices = rng.choice([-1, 1], 60)
    measurement = measure_choices(choices, NOISE)
    estimate = measurement.classes["choice"]
    assert measurement.count == estimate.count == 120 and measurement.answered == [60]
    assert estimate.coefficient_error[0] == pytest.approx(1 / np.sqrt(60))  # choices are 1 or -1
    assert np.allclose(estimate.standard_error, 0.1 / np.sqrt(60))  # times a pixel's deviation
    assert [half.classes["choice"].count for half in measurement.halves()] == [60, 60]
    mean = np.tensordot(choices, trial_numbers(NOISE, 0, 60), 1) / 60
    assert np.allclose(estimate.coefficients[0], mean)


def test_the_halves_of_choices_are_even_and_odd_trials():
    """Who turns round at every trial contradicts the other half; who never does agrees with it."""
    drive = np.sign(trial_numbers(NOISE, 0, 400)[:, 2, 3, 0])
    turning, steady = (
        measure_choices(drive * turn, NOISE).classes["choice"].reliability[0]
        for turn in (np.tile([1, -1], 200), np.ones(400))
    )
    assert turning < -0.8 and steady > 0.8


def test_choices_by_chance_have_no_image(rng):
    z = []
    for seed in range(30):
        estimate = measure_choices(rng.choice([-1, 1], 100), NOISE, seed=seed).classes["choice"]
        z.append(estimate.z)
    z = np.ravel(z)
    assert abs(z.mean()) < 4 / np.sqrt(z.size) and abs(z.std() - 1) < 4 / np.sqrt(2 * z.size)


@pytest.mark.parametrize("noise", [NOISE, PinkNoise(SHAPE, low=-1, base=0.5, contrast=0.05)])
def test_a_network_judges_what_people_saw_as_its_template_does(noise, rng):
    weights = rng.normal(size=(*SHAPE, 3))
    net, xi = observer(weights), trial_numbers(noise, 0, 200)
    chosen = network_choices(net, noise, xi, to_range=(-1, 3))
    first, second = (s.reshape(200, -1) for s in shown_pair(noise, xi))
    flat = (weights - weights.mean(axis=3, keepdims=True)).reshape(-1, 3)
    assert np.mean(chosen == np.sign((first - second) @ flat)) > 0.99  # all but ties
    template = measure_choices(chosen[:, 1], noise).classes["choice"].covariance
    assert correlations(template, noise.images(flat.T.reshape(3, *SHAPE))[1:2])[0] > 0.5


def test_what_is_shown_has_256_levels_within_the_range_and_mirrors_the_base():
    noise = WhiteNoise(shape=SHAPE, low=-1, high=1, base=-0.1, contrast=0.3)
    first, second = shown_pair(noise, trial_numbers(noise, 0, 50))
    assert min(first.min(), second.min()) == -1
    levels = (first + 1) * 255 / 2
    assert np.allclose(levels, np.rint(levels), atol=1e-4)
    inside = (np.abs(first) < 1) & (np.abs(second) < 1)
    assert np.allclose((first + second)[inside], 2 * (2 * 115 / 255 - 1), atol=1e-6)


def test_a_screen_adds_rounded_levels_to_the_base_and_takes_them_from_it():
    noise = WhiteNoise(shape=(1, 3, 1), low=-1, high=1, base=0.2, contrast=0.1)  # 153; 25.5 levels
    xi = np.float32([[1.2, -2, 9]]).reshape(1, 1, 3, 1)
    first, second = (255 * (shown.ravel() + 1) / 2 for shown in shown_pair(noise, xi))
    assert np.allclose(first, [153 + 31, 153 - 51, 255], atol=1e-4)
    assert np.allclose(second, [153 - 31, 153 + 51, 153 - 127], atol=1e-4)  # as far as it goes


@pytest.mark.parametrize("to_range", [(0, 255), (-1, 1), (0, 1)])
def test_a_network_sees_the_levels_of_the_screen_in_its_own_range(to_range):
    """About 153, the darker of a pair is nearer to 150 and the brighter nearer to 156."""
    noise = WhiteNoise(shape=(1, 1, 1), low=-1, high=1, base=0.2, contrast=0.1)
    low, high = to_range

    def near(images):
        levels = 255 * (images[:, 0, 0] - low) / (high - low)
        return -np.abs(levels - [150, 156])

    xi = np.float32([1.2, -2, 0, -1.2]).reshape(4, 1, 1, 1)  # brighter, darker, the same, darker
    expected = np.array([1, -1, 0, -1])
    assert np.array_equal(network_choices(near, noise, xi, to_range).T, [-expected, expected])


def test_choices_on_gabor_noise_are_measured_in_its_components(rng):
    components = rng.normal(size=(5, *SHAPE)) / 50
    noise = GaborNoise(np.full(SHAPE, 0.5), components, np.ones(5))
    xi = trial_numbers(noise, 0, 300)
    first, second = shown_pair(noise, xi)
    assert np.allclose(first + second, 2 * 128 / 255, atol=1e-6)
    estimate = measure_choices(np.sign(xi[:, 2]), noise).classes["choice"]
    expected = np.eye(5)[2] * np.sqrt(3) / 2  # E|xi| of a uniform number of variance 1
    assert np.allclose(estimate.coefficients[0], expected, atol=4 / np.sqrt(300))


def test_a_trial_is_a_function_of_seed_and_number():
    few, more = trial_numbers(NOISE, 5, 3), trial_numbers(NOISE, 5, 8)
    assert np.allclose(few, more[:3], atol=1e-5) and not np.allclose(more[0], more[1])
    assert np.array_equal(more, NOISE.independent.xi(5, 0, 8))


def test_people_can_be_compared_and_kept(rng, tmp_path):
    template = rng.normal(size=SHAPE)
    made = [
        measure_choices(participant(template, NOISE, 3000, rng), NOISE, name=name) for name in "ab"
    ]
    found = compare(made)
    assert found.names == ("a", "b") and abs(found.disattenuated[0, 1, 0] - 1) < 0.05
    made[0].save(tmp_path / "a.npz")
    kept = Measurement.load(tmp_path / "a.npz")
    assert np.array_equal(kept.classes["choice"].z, made[0].classes["choice"].z)
    assert kept.answered == [3000] and kept.plot("choice")


def test_no_pass_sums_trials_but_files_of_them_are_read(rng, tmp_path):
    assert ChoiceSums not in ACCUMULATORS
    made = measure_choices(rng.choice([-1, 1], 20), NOISE)
    made.save(tmp_path / "a.npz")
    for accumulators in (ACCUMULATORS, (ClassSums,)):
        kept = Measurement.load(tmp_path / "a.npz", accumulators)
        assert np.array_equal(kept.classes["choice"].z, made.classes["choice"].z)
        assert [half.count for half in kept.halves()] == [20, 20]


@pytest.mark.parametrize(
    ("choices", "noise", "sentence"),
    [
        ([1, -1, 1], NOISE, "at least 4"),
        ([1, -1, 2, 1], NOISE, "1 or -1"),
        ([1, -1, np.nan, 1], NOISE, "answers to too few trials"),
        ([1, -1, 1, -1], SparseNoise(shape=SHAPE), "no mirror images to choose between"),
    ],
)
def test_what_is_not_a_choice_is_refused_in_a_sentence(choices, noise, sentence):
    with pytest.raises(UserError, match=sentence):
        measure_choices(choices, noise)


def test_labels_alone_do_not_choose_between_two():
    with pytest.raises(UserError, match="answers one number per image"):
        network_choices(
            lambda x: (x.mean(axis=(1, 2, 3)) > 0.5).astype(int), NOISE, trial_numbers(NOISE, 0, 4)
        )


# ----------------------------------------------------------------------- trials without an answer


def test_trials_without_an_answer_are_left_out(rng):
    xi = trial_numbers(NOISE, 0, 60)
    choices = rng.choice([-1.0, 1.0], 60)
    choices[[0, 3, 4, 59]] = np.nan
    measurement = measure_choices(choices, NOISE)
    estimate = measurement.classes["choice"]
    known = np.isfinite(choices)
    mean = np.tensordot(choices[known], xi[known], 1) / 56
    assert np.allclose(estimate.coefficients[0], mean)
    assert estimate.coefficient_error[0] == pytest.approx(1 / np.sqrt(56))
    assert measurement.count == 112 and measurement.answered == [56]
    assert [half.count for half in measurement.halves()] == [56, 56]


# ----------------------------------------------------------------------- in words


def test_a_measurement_of_choices_is_said_in_trials_with_its_question(rng):
    choices = np.sign(trial_numbers(NOISE, 0, 400)[:, 2, 3, 0])
    asked = "Which looks happier?"
    measurement = measure_choices(choices, NOISE, name="all participants", question=asked)
    summary = measurement.summary()
    figures = [measurement.plot(), measurement.plot_about_base()]
    texts = [repr(measurement), repr(summary), summary._repr_html_()]
    texts += [f.get_supxlabel() + f.get_suptitle() for f in figures]
    for text in texts:
        text = " ".join(text.replace("&quot;", '"').split())
        assert f'400 trials of Gaussian noise, asked "{asked}"' in text, text
        assert "800" not in text and " it " not in text and "noise images" not in text
    assert "What all participants looked for" in texts[3]
    needed = f"{measurement.classes['choice'].images_needed()[0] / 2:,.0f}"
    assert f" {needed} " in repr(summary) and "needs: trials for" in repr(summary)
    assert summary.name == "all participants" and summary.rows[0].name == "choice"
