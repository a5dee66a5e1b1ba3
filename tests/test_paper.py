"""Known answers for the further experiments, and the whole of paper.py on made-up images."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from observers import observer, yes_no
from scipy import stats
from test_main import made_up  # noqa: F401  (a fixture)

import main
import paper
from analysis import (
    attack_rates,
    auc_interval,
    backdoor_deviation,
    backdoor_score,
    bootstrap_interval,
    cell_weights,
    clean_null,
    combine_cells,
    cosines,
    crossing,
    four_cells,
    mean_activity,
    mixing_rates,
    null_p_value,
    null_threshold,
    overlap_with,
    psychometric_function,
    root_mean_square_images,
    snr_interval,
    stimulated,
    unit_range,
    wilson_interval,
)
from lenet import LeNet
from noise import WhiteNoise

RNG = np.random.default_rng(7)
SHAPE = (8, 8, 1)
UNIFORM = WhiteNoise("uniform", SHAPE)


# --------------------------------------------------------------------------- mixing


def test_18_mixing_rates_follow_the_curve_of_a_linear_unit():
    weights = RNG.normal(size=SHAPE)
    signal = unit_range((weights + RNG.normal(size=SHAPE))[None])[0]
    norm, total = np.linalg.norm(weights), weights.sum()
    bias = -0.5 * (weights * signal).sum() - 0.25 * total + 0.1
    gammas = (0.2, 0.4, 0.6)
    backgrounds = UNIFORM.draw(0, 0, 20_000)
    templates = np.stack([np.full(SHAPE, np.nan), signal])
    rates = mixing_rates(yes_no(weights, bias), backgrounds, templates, gammas)
    drive = [g * (weights * signal).sum() + (1 - g) * total / 2 + bias for g in gammas]
    expected = stats.norm.cdf(np.array(drive) / ((1 - np.array(gammas)) * norm / np.sqrt(12)))
    assert np.all(np.abs(rates[1] - expected) < 5 * np.sqrt(expected * (1 - expected) / 20_000))
    assert np.ptp(expected) > 0.1 and np.all(rates[0] == 0)  # a template of NaN does not exist


def test_templates_are_scaled_to_the_range_of_images():
    scaled = unit_range(np.array([[[[-2.0], [2.0]]], [[[5.0], [6.0]]]]))
    assert scaled.ravel().tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize(
    ("rates", "expected"),
    [([0, 0.25, 0.75, 1], 1.5), ([0.6, 1, 1, 1], 0), ([0, 0, 0.1, 0.4], 3), ([0, 0.5, 0, 1], 1)],
)
def test_a_curve_is_crossed_where_a_straight_line_says(rates, expected):
    assert crossing((0, 1, 2, 3), rates) == expected


# --------------------------------------------------------------------------- four cells


def two_of_four():
    """A linear observer of four classes; classes 1 and 3 differ by a template of unit norm."""
    template = RNG.normal(size=SHAPE)
    template /= np.linalg.norm(template)
    weights = np.stack([0 * template, -template / 2, 0 * template, template / 2], axis=-1)
    return template, observer(weights)


def shown_images(template, drives, gamma):
    """An image of class 1 and one of class 3 that drive the observer of uniform noise so far."""
    drives = np.array(drives) - (1 - gamma) * template.sum() / 2
    return np.stack([template * drive / gamma for drive in drives])


def test_18_and_6_no_trial_is_lost_and_the_cells_hold_what_a_linear_observer_gives():
    template, network = two_of_four()
    gamma, count = 0.3, 40_000
    spread = (1 - gamma) / np.sqrt(12)  # of the decision variable
    images = shown_images(template, [-0.2, 0.3], gamma)
    cells = four_cells(network, images, [1, 3], (1, 3), gamma, UNIFORM, count)
    assert cells.counts.sum() == count and cells.answered.sum() == count
    assert cells.counts.sum(axis=1).tolist() == [count / 2, count / 2]
    p = stats.norm.cdf(np.array([-0.2, 0.3]) / spread)
    error = np.sqrt(p * (1 - p) / (count / 2))
    assert np.all(np.abs(cells.counts[:, 1] / (count / 2) - p) < 5 * error)
    assert np.all(cells.answered[:, [1, 3]].sum(axis=1) == count / 2)  # the larger of +-x wins
    means = cells.sums / cells.counts[:, :, None, None, None]
    length = UNIFORM.std * stats.norm.pdf(stats.norm.ppf(p)) / (p * (1 - p))
    errors = UNIFORM.std * np.sqrt((1 / cells.counts).sum(axis=1))
    for s in (0, 1):
        difference = means[s, 1] - means[s, 0] - length[s] * template
        assert np.abs(difference).max() < 5 * errors[s]


@pytest.mark.parametrize("kind", ["ahumada", "optimal"])
def test_15_and_17_the_signal_to_noise_ratio_is_as_predicted(kind):
    template, network = two_of_four()
    images = shown_images(template, [-0.5, 0.02], 0.3)  # one stimulus nearly always answered right
    cells = four_cells(network, images, [1, 3], (1, 3), 0.3, UNIFORM, 40_000)
    z, snr2, expected = combine_cells(cells, kind)
    assert abs(snr2 - expected) < 5 * np.sqrt(4 * expected + 2 * z.size)
    cosine = np.sqrt(expected / (expected + z.size - 1))
    assert cosines([template], [z])[0] == pytest.approx(cosine, abs=0.02)


def test_the_interval_of_a_signal_to_noise_ratio_covers_it():
    rng, covered = np.random.default_rng(3), []
    for _ in range(400):
        z = rng.normal(size=64)
        z[0] += 12  # SNR 12
        low, high = snr_interval(np.sum(z**2) - 64, (8, 8, 1))
        covered.append(low < 12 < high)
    assert 0.9 < np.mean(covered) < 0.99
    assert snr_interval(-5.0, (8, 8, 1))[0] == 0


def test_17_optimal_weights_beat_equal_ones():
    template, network = two_of_four()
    images = shown_images(template, [-0.5, 0.02], 0.3)
    cells = four_cells(network, images, [1, 3], (1, 3), 0.3, UNIFORM, 40_000)
    equal, best = (combine_cells(cells, kind) for kind in ("ahumada", "optimal"))
    assert best[1] > 1.5 * equal[1] and best[2] > 1.5 * equal[2]


def test_pixels_that_do_not_matter_are_standard_normal():
    template = np.zeros((16, 16, 1))
    template[:2, :2] = 0.5
    noise = WhiteNoise("uniform", (16, 16, 1))
    network = observer(np.stack([0 * template, template], axis=-1), [0, -template.sum() / 2])
    cells = four_cells(network, np.ones((2, 16, 16, 1)), [0, 1], (0, 1), 0.0, noise, 10_000)
    null = combine_cells(cells, "optimal")[0].ravel()[template.ravel() == 0]
    assert abs(null.std() - 1) < 5 / np.sqrt(2 * null.size) and abs(null.mean()) < 0.33


def test_a_stimulus_that_always_got_one_answer_is_left_out():
    counts = np.array([[100, 0], [40, 60]])
    assert cell_weights(counts, "ahumada").tolist() == [0, 1]
    shown = np.array([[90, 10], [900, 100]])  # the same answers, ten times as often
    assert cell_weights(shown, "optimal")[1] == pytest.approx(
        10 * cell_weights(shown, "optimal")[0]
    )
    assert cell_weights(counts, "optimal")[0] == 0 < cell_weights(counts, "optimal")[1]
    with pytest.raises(ValueError, match="nothing to compare"):
        cell_weights(np.array([[100, 0], [0, 100]]), "optimal")
    with pytest.raises(ValueError, match="ahumada or optimal"):
        cell_weights(counts, "equal")
    with pytest.raises(ValueError, match="no images of the classes 1 and 3"):
        four_cells(two_of_four()[1], np.zeros((1, *SHAPE)), [1], (1, 3), 0.1, UNIFORM, 10)


# --------------------------------------------------------------------------- attacks, intervals


def test_a_linear_observer_falls_to_an_attack_exactly_where_geometry_says():
    weights = np.zeros((*SHAPE, 2))
    weights[0, 0, 0, 0] = weights[0, 1, 0, 1] = 1
    image = np.full(SHAPE, 0.5)
    image[0, 0], image[0, 1] = 0.7, 0.3
    gap = 0.4 / np.sqrt(2) / np.linalg.norm(image)  # along (w1 - w0) / |w1 - w0|
    maps = np.moveaxis(weights, -1, 0)
    norms = (0.98 * gap, 1.02 * gap)
    images = [image[None], image[None][:0]]
    network = observer(weights)
    assert attack_rates(network, images, maps, "class images", norms).tolist() == [[0, 1]]
    assert attack_rates(network, images, None, "FGSM", norms).tolist() == [[0, 1]]
    assert attack_rates(network, images, None, "own gradient", norms).tolist() == [[0, 1]]
    assert attack_rates(network, images, None, "random", norms).tolist() == [[0, 0]]
    assert attack_rates(network, images, -maps, "class images", norms).tolist() == [[0, 0]]


def test_an_attacked_image_is_still_an_image():
    weights = np.zeros((*SHAPE, 2))
    weights[0, 0, 0, 1] = 1
    images = [np.full((1, *SHAPE), 0.5), np.zeros((0, *SHAPE))]
    maps = np.moveaxis(weights, -1, 0)
    clipped = attack_rates(observer(weights, [1.01, 0]), images, maps, "class images", (5.0,))
    reached = attack_rates(observer(weights, [0.99, 0]), images, maps, "class images", (5.0,))
    assert clipped.tolist() == [[0]] and reached.tolist() == [[1]]  # a pixel is 1 at most


def test_a_bootstrap_interval_is_that_of_a_mean():
    values = RNG.normal(size=(400, 1))
    low, high = bootstrap_interval(values)
    error = values.std() / np.sqrt(400)
    assert low[0] == pytest.approx(values.mean() - 1.96 * error, abs=0.2 * error)
    assert high[0] == pytest.approx(values.mean() + 1.96 * error, abs=0.2 * error)


def test_wilson_intervals_are_those_of_the_tables():
    assert wilson_interval(0, 10) == pytest.approx((0, 0.2775), abs=1e-4)
    assert wilson_interval(5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-4)
    assert np.isnan(wilson_interval(0, 0)).all()


# --------------------------------------------------------------------------- microstimulation


def test_18_a_current_moves_the_middle_of_the_curve_as_far_as_it_must():
    weights = RNG.normal(size=SHAPE)
    images = np.broadcast_to(np.float32(weights > 0), (4000, *SHAPE))
    signal, half = (weights * images[0]).sum(), weights.sum() / 2
    bias = -0.4 * signal - 0.6 * half
    network, gammas = yes_no(weights, bias), np.linspace(0, 1, 41)
    seen = psychometric_function(network, UNIFORM.draw(0, 0, 4000), gammas)
    middles = {}
    for current in (-2.0, 0.0, 2.0):
        with stimulated(network, "logits", np.array([0, current])):
            middles[current] = crossing(gammas, seen(images, 1))
    for current, middle in middles.items():
        assert middle == pytest.approx(0.4 - current / (signal - half), abs=0.01)
    assert middles[2] < middles[0] - 0.05 and middles[-2] > middles[0] + 0.05
    assert network.get_layer("logits").bias.numpy().tolist() == [0, np.float32(bias)]


def test_stimulation_ends_even_if_what_was_to_be_measured_fails():
    network = LeNet()
    with pytest.raises(RuntimeError), stimulated(network, "conv2", np.ones(16)):
        assert np.all(network.get_layer("conv2").bias.numpy() == 1)
        raise RuntimeError
    assert np.all(network.get_layer("conv2").bias.numpy() == 0)


def test_mean_activity_is_that_of_each_filter_or_unit():
    network = LeNet()
    network.get_layer("conv1").kernel.assign(np.zeros((5, 5, 1, 6)))
    network.get_layer("conv1").bias.assign([-1, 0, 1, 2, 3, 4])
    images = RNG.random((3, 28, 28, 1), np.float32)
    assert mean_activity(network, "conv1", images).tolist() == [0, 0, 1, 2, 3, 4]
    assert mean_activity(network, "dense1", images).shape == (120,)


# --------------------------------------------------------------------------- templates


def test_root_mean_square_images_are_what_numpy_says():
    template = RNG.normal(size=SHAPE)
    network = yes_no(template, -template.sum() / 2 - 1)
    found = root_mean_square_images(network, UNIFORM, 1500, seed=4)
    stimuli = np.concatenate([UNIFORM.draw(4, 0, 1000), UNIFORM.draw(4, 1, 500)])
    answers = network.predict(stimuli, verbose=0).argmax(axis=1)
    for k in (0, 1):
        expected = np.sqrt((stimuli[answers == k] ** 2).mean(axis=0))
        assert np.allclose(found[k], expected, atol=1e-5)
    never = root_mean_square_images(yes_no(template, -1e6), UNIFORM, 100)
    assert np.isnan(never[1]).all() and np.isfinite(never[0]).all()


# --------------------------------------------------------------------------- backdoors


def class_image_sets(count, seed, peak=0.0):
    """Class images of `count` networks that share a mean and differ by noise, (n, 3, 10, 10, 1).

    With a peak, class 1 of each has a bright square at rows 6 and 7.
    """
    shared = np.random.default_rng(0).normal(size=(3, 10, 10, 1))
    images = shared + 0.3 * np.random.default_rng(seed).normal(size=(count, 3, 10, 10, 1))
    images[:, 1, 6:8, 2:4] += peak
    return images


def test_a_planted_peak_is_found_named_and_placed():
    references, null = class_image_sets(8, 1), clean_null(class_image_sets(8, 1))
    planted = [backdoor_deviation(one, references) for one in class_image_sets(20, 2, peak=3.0)]
    clean = [backdoor_deviation(one, references) for one in class_image_sets(20, 3)]
    assert planted[0].shape == (3, 10, 10)
    assert np.abs(np.mean(clean, axis=0)).max() < 1  # what clean networks share is no deviation
    found, scores = zip(*map(backdoor_score, planted), strict=True)
    assert set(found) == {1}
    usual = [backdoor_score(one)[1] for one in clean]
    area, low, high = auc_interval(usual, scores)
    assert area == 1 and low == high == 1
    assert np.mean([null_p_value(s, null) < 0.01 for s in scores]) == 1
    assert np.mean([null_p_value(s, null) < 0.05 for s in usual]) < 0.3
    mask = np.zeros((10, 10), bool)
    mask[6:8, 2:4] = True
    assert np.mean([overlap_with(mask, one[1]) for one in planted]) > 0.9


def test_what_all_classes_share_is_no_backdoor():
    references = class_image_sets(8, 1)
    brighter = references[0] + 5 * RNG.normal(size=(1, 10, 10, 1))  # the same for every class
    assert np.allclose(
        backdoor_deviation(brighter, references), backdoor_deviation(references[0], references)
    )
    with pytest.raises(ValueError, match="two at least"):
        backdoor_deviation(references[0], references[:1])


def test_p_values_of_clean_networks_are_uniform():
    rng, found = np.random.default_rng(5), []
    for _ in range(2000):
        scores = np.exp(rng.normal(1, 0.3, 13))
        found.append(null_p_value(scores[0], scores[1:]))
    assert stats.kstest(found, "uniform").pvalue > 0.001
    assert null_p_value(null_threshold(scores[1:], 0.02), scores[1:]) == pytest.approx(0.02)


def test_the_area_under_the_curve_is_the_chance_that_the_poisoned_scores_higher():
    area, low, high = auc_interval([1, 2, 3, 4], [2.5, 5, 6, 7])
    assert area == 14 / 16 and low < area <= high


def test_overlap_counts_the_patch_pixels_among_as_many_highest():
    mask = np.array([[True, True], [False, False]])
    assert overlap_with(mask, np.array([[3.0, 1], [2, 0]])) == 0.5


def test_poisoning_patches_and_relabels_images_of_one_class_only():
    images, labels = RNG.random((60, 28, 28, 1), np.float32), np.tile(np.arange(10), 6)
    mask, source, target = paper.draw_backdoor(3, (28, 28, 1), labels, published=False)
    assert source != target and 8 <= mask.sum() <= 16
    bad, answers = paper.poison(images, labels, mask, source, target, 3)
    changed = labels != answers
    assert changed.sum() == 6 and set(labels[changed]) == {source}
    assert set(answers[changed]) == {target}
    assert np.all(bad[changed][:, mask] == 1)
    assert np.array_equal(bad[~changed], images[~changed])
    assert np.array_equal(bad[:, ~mask], images[:, ~mask])
    mask, source, target = paper.draw_backdoor(3, (28, 28, 1), labels, published=True)
    assert (source, target) == (8, 9) and mask[1:6, 1].all() and not mask[2:5, 2:].any()


# --------------------------------------------------------------------------- the whole of paper.py

SMALL = {
    "REPEATS": 2, "NOISE_IMAGES": 1000, "MIXED_IMAGES": 10, "ATTACKED_IMAGES": 1,
    "SIGNAL_TRIALS": 2000, "STIMULATION_IMAGES": 2, "STRUCTURED_FIT_IMAGES": 30,
    "STRUCTURED_COMPONENTS": 20, "BACKDOOR_REFERENCES": 3, "BACKDOOR_NETWORKS": 1,
    "BACKDOOR_NOISE": 1000, "EXACT_IMAGES": 100, "STIMULATION_DOSES": (-1.0, 0.0, 1.0),
    "SIGNAL_GAMMAS": (0.3,), "BACKDOOR_EPOCHS": 1,
}  # fmt: skip


@pytest.fixture
def small(made_up, monkeypatch):  # noqa: F811  (the fixture of that name)
    for name, value in SMALL.items():
        monkeypatch.setattr(paper, name, value)


def arguments(tmp_path, *more):
    return paper.parse_arguments(["--epochs", "1", "--out", str(tmp_path), *more])


def test_the_whole_of_it_runs_and_a_second_run_computes_nothing(
    small, tmp_path, capsys, monkeypatch
):
    rows = paper.main(arguments(tmp_path))
    first = capsys.readouterr().out
    figures = {path.name for path in (tmp_path / "part5_imgs").iterdir()}
    assert figures == {f"{name}_mnist.png" for name in paper.EXPERIMENTS}
    assert all(f"{name}: running" in first for name in paper.EXPERIMENTS)
    kept = json.loads((tmp_path / "results" / "paper_mnist.json").read_text())
    assert list(kept) == list(paper.EXPERIMENTS)
    assert [row for one in kept.values() for row in one["rows"]] == rows
    assert all(np.isfinite(row["ours"]) for row in rows)

    with monkeypatch.context() as patch:
        for name in ("mixing", "attack", "backdoor", "structured", "microstimulation"):
            patch.setattr(paper, name, None)  # nothing that could be run
        patch.setattr(paper, "signal_in_noise", None)
        assert paper.main(arguments(tmp_path)) == rows
    second = capsys.readouterr().out
    assert second.count("already in") == len(paper.EXPERIMENTS) and "running" not in second

    # other settings run again; networks that are there are not trained again
    (tmp_path / "part5_imgs" / "backdoor_mnist.png").unlink()
    monkeypatch.setattr(paper, "train_lenet", None)
    monkeypatch.setattr(paper, "SIGNAL_TRIALS", 3000)
    paper.main(arguments(tmp_path, "--only", "backdoor", "signal", "structured"))
    third = capsys.readouterr().out
    assert "backdoor: running" in third and "signal: running" in third
    assert "structured: already in" in third

    kept = tmp_path / "results" / "paper_mnist.json"
    kept.write_text(kept.read_text()[:100])
    with pytest.raises(ValueError, match="paper_mnist.json is not a whole results file.*delete it"):
        paper.main(arguments(tmp_path))


@pytest.mark.parametrize(
    "flags",
    [["--dataset", "cifar"], ["--only", "psychokinesis"], ["--seed", "-1"], ["--epochs", "0"]],
)
def test_wrong_flags_are_one_sentence_and_exit_code_2(flags, capsys):
    with pytest.raises(SystemExit) as stop:
        paper.parse_arguments(flags)
    assert stop.value.code == 2
    assert f"argument {flags[0]}: " in capsys.readouterr().err.splitlines()[-1]


def test_a_folder_that_cannot_be_written_is_one_sentence_and_exit_code_2(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert paper.run(["--out", str(tmp_path / "file" / "out")]) == 2
    assert capsys.readouterr().err.startswith("paper.py: cannot write in")


def test_ctrl_c_says_how_to_continue_and_exits_with_130(monkeypatch, capsys):
    def stop(args):
        raise KeyboardInterrupt

    monkeypatch.setattr(paper, "main", stop)
    assert paper.run([]) == 130
    assert "the same command continues" in capsys.readouterr().err


def test_help_needs_no_tensorflow():
    code = "import sys, paper\ntry: paper.parse_arguments(['--help'])\nexcept SystemExit: pass\n"
    code += "print('tensorflow' in sys.modules, 'numpy' in sys.modules)"
    folder = Path(paper.__file__).parent
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=folder)
    assert "--only" in done.stdout and done.stdout.endswith("False False\n")


def test_experiments_run_in_their_own_order_whatever_is_asked_first():
    args = paper.parse_arguments(["--only", "structured", "mixing"])
    assert args.only == ("mixing", "structured") and args.out == main.OUT
