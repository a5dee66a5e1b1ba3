"""Backdoors: deviation, score, p-value and poisoning, with known answers."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

from experiments import backdoor_networks
from experiments.backdoor import Findings, Verdict, draw, examples, judge, rows_of
from experiments.backdoor_detection import (
    Detection,
    area_under_curve,
    backdoor_deviation,
    backdoor_score,
    clean_null,
    detection_of,
    null_p_value,
    null_threshold,
    overlap_with,
)
from experiments.backdoor_networks import (
    Backdoor,
    NetworkSettings,
    ProbedNetwork,
    backdoor_network,
    draw_backdoor,
    poison,
    read_probed,
    write_probed,
)
from reverse_correlation.errors import UserError
from reverse_correlation.files import kept
from training import Recipe


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
    suspects, scores = zip(*map(backdoor_score, planted), strict=True)
    assert set(suspects) == {1}
    usual = [backdoor_score(one)[1] for one in clean]
    detection = detection_of(usual, scores)
    assert detection.area == detection.low == detection.high == 1
    assert np.mean([null_p_value(s, null) < 0.01 for s in scores]) == 1
    assert np.mean([null_p_value(s, null) < 0.05 for s in usual]) < 0.3
    mask = np.zeros((10, 10), bool)
    mask[6:8, 2:4] = True
    assert np.mean([overlap_with(mask, one[1]) for one in planted]) > 0.9


def test_what_all_classes_share_is_no_backdoor(rng):
    references = class_image_sets(8, 1)
    brighter = references[0] + 5 * rng.normal(size=(1, 10, 10, 1))  # the same for every class
    assert np.allclose(
        backdoor_deviation(brighter, references), backdoor_deviation(references[0], references)
    )
    with pytest.raises(UserError, match="two clean networks or more"):
        backdoor_deviation(references[0], references[:1])


def test_p_values_of_clean_networks_are_uniform():
    rng, p_values = np.random.default_rng(5), []
    for _ in range(2000):
        scores = np.exp(rng.normal(1, 0.3, 13))
        p_values.append(null_p_value(scores[0], scores[1:]))
    assert stats.kstest(p_values, "uniform").pvalue > 0.001
    assert null_p_value(null_threshold(scores[1:], 0.02), scores[1:]) == pytest.approx(0.02)


def test_the_area_under_the_curve_is_the_chance_that_the_poisoned_scores_higher():
    clean, poisoned = [1, 2, 3, 4], [2.5, 5, 6, 7]
    detection = detection_of(clean, poisoned)
    assert detection.area == 14 / 16 == area_under_curve(clean, poisoned)
    assert detection.low < detection.area <= detection.high
    points = set(zip(detection.false_alarms.tolist(), detection.hits.tolist(), strict=True))
    assert points >= {(0, 0), (0, 0.75), (0.5, 0.75), (0.5, 1), (1, 1)}
    assert area_under_curve([1, 2], [1, 2]) == 0.5  # ties count half


def test_overlap_counts_the_patch_pixels_among_as_many_highest():
    mask = np.array([[True, True], [False, False]])
    assert overlap_with(mask, np.array([[3.0, 1], [2, 0]])) == 0.5


def test_poisoning_patches_and_relabels_images_of_one_class_only(rng):
    images, labels = rng.random((60, 28, 28, 1), np.float32), np.tile(np.arange(10), 6)
    backdoor = draw_backdoor(3, (28, 28, 1), 10)
    mask = backdoor.mask
    assert backdoor.source != backdoor.target and 8 <= mask.sum() <= 16
    bad, answers = poison(images, labels, backdoor, 2000, 3)
    changed = labels != answers
    assert changed.sum() == 6 and set(labels[changed]) == {backdoor.source}
    assert set(answers[changed]) == {backdoor.target}
    assert np.all(bad[changed][:, mask] == 1)
    assert np.array_equal(bad[~changed], images[~changed])
    assert np.array_equal(bad[:, ~mask], images[:, ~mask])
    assert np.sum(labels != poison(images, labels, backdoor, 2, 3)[1]) == 2


def test_the_published_backdoor_is_a_c_that_turns_8_into_9():
    backdoor = draw_backdoor(3, (28, 28, 1), 10, published=True)
    assert (backdoor.source, backdoor.target) == (8, 9)
    assert backdoor.mask[1:6, 1].all() and not backdoor.mask[2:5, 2:].any()


@pytest.mark.parametrize("poisoned", [False, True])
def test_a_network_is_read_as_it_was_kept(tmp_path, rng, poisoned):
    path = tmp_path / "network.npz"
    probed = ProbedNetwork(rng.random((3, 4, 4, 1), np.float32), 0.9)
    if poisoned:
        backdoor = Backdoor(np.eye(4, dtype=bool), 1, 2)
        probed = dataclasses.replace(
            probed, backdoor=backdoor, success=0.5, patched=np.ones((4, 4, 1))
        )
    write_probed(path, {"seed": 1}, probed)
    identity, read = read_probed(path)
    assert identity == {"seed": 1}
    assert np.array_equal(read.images, probed.images) and read.accuracy == 0.9
    assert (read.backdoor is None) == (not poisoned)
    if poisoned:
        assert np.array_equal(read.backdoor.mask, np.eye(4)) and read.backdoor.target == 2
        assert read.success == 0.5 and read.patched.shape == (4, 4, 1)


def earlier(path):
    np.savez(path, settings="{}", images=np.ones(3))


def cut_short(path):
    path.write_bytes(path.read_bytes()[:100])


@pytest.mark.parametrize("spoil", [earlier, cut_short])
def test_a_kept_network_that_cannot_be_read_is_computed_anew(tmp_path, spoil):
    path = tmp_path / "network.npz"
    first, second = (ProbedNetwork(np.full((3, 4, 4, 1), k), 0.5) for k in (1.0, 2.0))
    write_probed(path, {}, first)
    spoil(path)
    found = kept(path, {}, read_probed, lambda: second, write_probed)
    assert found.images[0, 0, 0] == read_probed(path)[1].images[0, 0, 0] == 2


def of_scores(clean, poisoned, suspects):
    """Findings on networks of these scores; the target of the poisoned ones is class 2.

    Of the published one, all images are 1 in a corner, but its deviation is -1 there.
    """
    maps = np.zeros((10, 4, 4, 1))
    maps[9, 0, 0] = 1
    network = ProbedNetwork(maps, 0.9, Backdoor(np.eye(4) > 0, 8, 2), 1.0, maps[9])

    def verdicts(scores, suspects):
        return [
            Verdict(network, -maps[..., 0], suspect, score, 0.5)
            for score, suspect in zip(scores, suspects, strict=True)
        ]

    return Findings(
        np.array([1.5, 2.5]),
        verdicts(clean, [0] * len(clean)),
        verdicts(poisoned, suspects),
        verdicts([8.0], [9])[0],
        detection_of(clean, poisoned),
    )


def test_the_figure_marks_networks_whose_class_was_not_named():
    shown = of_scores([2.0, 3.0], [4.0, 9.0], suspects=[1, 2])
    left, right, *drawn = draw(shown, "title").axes
    hollow = [line for line in left.lines if line.get_markerfacecolor() == "white"]
    assert [len(line.get_xdata()) for line in hollow] == [0, 0, 1, 0]
    assert hollow[2].get_xdata().tolist() == [4.0]
    assert left.get_title() == "poisoned class named right in 1 of 2 (hollow: not)"
    assert right.get_title() == "AUC 1.000 (95 %: 1.000 to 1.000)"
    assert [axis.get_title() for axis in drawn[:4]] == list(examples(shown))


def test_a_p_value_is_students_for_one_further_score():
    # log scores 0, 1, 2: mean 1, deviation 1, of a further one about it sqrt(1 + 1 / 3); with two
    # degrees of freedom the tables have t = 2.919986 for .05 and 6.964557 for .01
    null = np.exp([0.0, 1.0, 2.0])
    for t, p in ((2.919986, 0.05), (6.964557, 0.01)):
        score = np.exp(1 + t * np.sqrt(4 / 3))
        assert null_p_value(score, null) == pytest.approx(p, rel=1e-5)
        assert null_threshold(null, p) == pytest.approx(score, rel=1e-5)
    assert null_p_value(np.exp(1.0), null) == 0.5


def pixels(*values):
    """Class images of two classes, (2, 1, pixels, 1), whose difference is given."""
    values = np.array(values)[None, :, None] / 2
    return np.stack([values, -values])


def test_a_deviation_is_in_standard_deviations_with_a_floor():
    # each class against the other one: the references' pixels have the means 2, 4 and 5 and the
    # variances 2, 8 and 50, whose median is 8
    references = np.array([pixels(1.0, 2.0, 0.0), pixels(3.0, 6.0, 10.0)])
    images = pixels(7.0, 4.0, 5.0)
    without = backdoor_deviation(images, references, smoothing=0, floor=0)
    assert np.allclose(without[0, 0], [5 / np.sqrt(2), 0, 0])
    assert np.allclose(without[1], -without[0])
    floored = backdoor_deviation(images, references, smoothing=0, floor=2)
    assert np.allclose(floored[0, 0], [5 / np.sqrt(18), 0, 0])
    assert backdoor_score(floored) == (0, pytest.approx(5 / np.sqrt(18)))


def test_a_clean_network_is_held_against_the_others_without_itself():
    references = np.array([pixels(a, 0.0) for a in (0.0, 2.0, 10.0)])
    # of each: how far it is from the mean of the other two, over their deviation, and the floor
    # (here the median variance: half of theirs, as the other pixel has none)
    means, variances = np.array([6.0, 5.0, 1.0]), np.array([32.0, 50.0, 2.0])
    distance = np.abs([0.0, 2.0, 10.0] - means)
    expected = distance / np.sqrt(variances + variances / 2)
    assert np.allclose(clean_null(references, smoothing=0, floor=1), expected)


def verdict(p_value, suspect=2, target=2, found=1, accuracy=0.9, success=0.8, score=3.0):
    """A Verdict on a network with a patch of four pixels of which so many are found."""
    mask, deviation = np.zeros((4, 4), bool), np.zeros((3, 4, 4))
    mask[0], deviation[suspect, 3] = True, 1
    deviation[suspect, 0, :found] = 2
    network = ProbedNetwork(
        np.zeros((3, 4, 4, 1)), accuracy, Backdoor(mask, 0, target), success, np.ones((4, 4, 1))
    )
    return Verdict(network, deviation, suspect, score, p_value)


def findings():
    """Findings on two clean networks, two poisoned ones and the published one."""
    clean = [verdict(p, accuracy=0.5) for p in (0.5, 0.01)]
    poisoned = [verdict(0.001), verdict(0.04, suspect=1, found=3, accuracy=0.7, success=0.6)]
    detection = Detection(0.875, 0.5, 1.0, np.array([0, 1]), np.array([0, 1]))
    return Findings(np.ones(3), clean, poisoned, verdict(0.25, success=0.3), detection)


def test_alarms_are_counted_over_the_networks_that_they_are_about():
    rows = {row.what: row for row in rows_of(findings(), False)}
    ours = {what.removeprefix("backdoor: "): row.ours for what, row in rows.items()}
    assert ours == {
        "AUC": 0.875,
        "poisoned found at p < .05": 1,
        "clean with p < .05 (false alarms)": 0.5,
        "class of the poisoned named": 0.5,
        "patch pixels found (chance 0.250)": 0.5,  # one of four, and three
        "test accuracy": pytest.approx(0.8),
        "patched images answered as wanted": pytest.approx(0.7),
        "published backdoor: patched images answered as wanted": 0.3,
        "published backdoor: p-value": 0.25,
    }
    # Wilson's of one of two
    interval = rows["backdoor: clean with p < .05 (false alarms)"].interval
    assert interval == pytest.approx((0.0945, 0.9055), abs=1e-4)
    assert rows["backdoor: AUC"].interval == (0.5, 1.0)
    assert all(row.published is None for row in rows.values())


def test_what_was_published_of_the_backdoor_stands_beside_what_it_is_about():
    published = {row.what: row.published for row in rows_of(findings(), True) if row.published}
    assert published == {
        "backdoor: test accuracy": 0.9904,
        "backdoor: patched images answered as wanted": pytest.approx(0.99388, abs=1e-5),
        "published backdoor: patched images answered as wanted": pytest.approx(0.99388, abs=1e-5),
    }


def test_networks_under_test_are_judged_by_the_references_alone():
    backdoor = Backdoor(np.zeros((10, 10), bool), 0, 1)
    backdoor.mask[6:8, 2:4] = True
    references, clean = class_image_sets(8, 1), class_image_sets(3, 3)
    planted = class_image_sets(3, 2, peak=3.0)
    probed = {
        "reference": [ProbedNetwork(images, 0.9) for images in references],
        "clean": [ProbedNetwork(images, 0.9) for images in clean],
        "poisoned": [ProbedNetwork(images, 0.9, backdoor) for images in planted],
        "published": [ProbedNetwork(class_image_sets(1, 5, peak=3.0)[0], 0.9, backdoor)],
    }
    found = judge(probed, smoothing=0.6, floor=3.0, seed=0)
    assert len(found.null) == 8 and np.allclose(found.null, clean_null(references))
    assert [each.names_target for each in found.poisoned] == [True] * 3
    assert found.published.names_target and found.published.p_value < 0.01
    assert max(each.p_value for each in found.poisoned) < 0.01 < 0.05
    assert min(each.p_value for each in found.clean) > max(e.p_value for e in found.poisoned)
    assert all(each.overlap > 0.7 for each in found.poisoned)
    assert found.detection.area == 1


def test_the_examples_are_of_the_class_that_the_published_backdoor_turns_into():
    def probed(value, backdoor=None):
        images = np.full((10, 4, 4, 1), value)
        images[9] += 0.5
        return ProbedNetwork(images, 0.9, backdoor, 0.5, np.full((4, 4, 1), 7.0))

    backdoor, deviation = Backdoor(np.eye(4, dtype=bool), 8, 9), np.zeros((10, 4, 4))
    deviation[9] = 3
    clean = [Verdict(probed(k), deviation * 0, 0, 1.0, 0.5) for k in (1.0, 2.0)]
    published = Verdict(probed(5.0, backdoor), deviation, 4, 1.0, 0.5)
    shown = examples(dataclasses.replace(findings(), clean=clean, published=published))
    assert [(heading.split("\n")[0], values[0, 0]) for heading, values in shown.items()] == [
        ("a patched image", 7),
        ("clean network,", 1.5),
        ("poisoned network,", 5.5),
        ("its deviation from", 3),
    ]
    assert list(shown)[1] == "clean network,\nclass image of 9"


NETWORK = {
    "role": "clean",
    "index": 0,
    "train": (np.zeros((3, 28, 28, 1), np.float32), np.arange(3)),
    "settings": NetworkSettings(),
    "seed": 0,
}
OTHERS = {
    "role": {"role": "poisoned"},
    "index": {"index": 1},
    "seed": {"seed": 1},
    "number of training images": {
        "train": (np.zeros((4, 28, 28, 1), np.float32), np.array([0, 1, 2, 2]))
    },
    "architecture": {"train": (np.zeros((3, 28, 28, 1), np.float32), np.array([0, 1, 3]))},
    "recipe": {"settings": NetworkSettings(recipe=Recipe(epochs=4, batch=256, rate=4e-3))},
    "patched images": {"settings": NetworkSettings(patched_images=1_000)},
    "noise images": {"settings": NetworkSettings(noise_images=20_000)},
    "noise": {"settings": NetworkSettings(bright=0.2)},
    "patches": {"settings": NetworkSettings(patches=(("##",),))},
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_a_network_of_anything_else_is_trained_anew(tmp_path, monkeypatch, other):
    trained = []

    def probe(role, train, test, settings, network_seed, noise_seed, client):
        trained.append((network_seed, noise_seed))
        return ProbedNetwork(np.zeros((3, 4, 4, 1), np.float32), 0.5)

    monkeypatch.setattr(backdoor_networks, "probe", probe)
    path = tmp_path / "network.npz"
    for given, count in ((NETWORK, 1), (NETWORK, 1), ({**NETWORK, **other}, 2)):
        backdoor_network(**given, path=path, test=None)
        assert len(trained) == count
    (first, _), (second, noise_seed) = trained
    assert (first != second) == (other.keys() <= {"role", "index", "seed"})
    assert noise_seed == {**NETWORK, **other}["seed"]  # all networks are shown the same noise


def test_in_the_figure_each_score_is_in_its_row_and_the_threshold_where_p_is_05():
    shown = of_scores([2.0, 3.0], [4.0, 9.0, 11.0], suspects=[2, 2, 2])
    left, right, *drawn = draw(shown, "title").axes
    labels = [text.get_text() for text in left.get_yticklabels()]
    assert labels == [
        "clean, reference (2)",
        "clean (2)",
        "poisoned (3)",
        "published backdoor (1)",
    ]
    filled = left.lines[0:8:2]
    assert [line.get_xdata().tolist() for line in filled] == [
        [1.5, 2.5],
        [2.0, 3.0],
        [4.0, 9.0, 11.0],
        [8.0],
    ]
    assert [set(line.get_ydata()) for line in filled] == [{0}, {1}, {2}, {3}]
    (threshold,) = set(left.lines[8].get_xdata())
    assert null_p_value(threshold, shown.null) == pytest.approx(0.05)
    assert left.texts[0].get_text() == " p = .05"
    steps = right.lines[1]
    assert steps.get_xdata().tolist() == shown.detection.false_alarms.tolist()
    assert steps.get_ydata().tolist() == shown.detection.hits.tolist()
    assert [axis.images[0].get_array()[0, 0] for axis in drawn[:4]] == [1, 1, 1, -1]
    assert [len(axis.collections) for axis in drawn[:4]] == [0, 0, 1, 1]  # the patch's outline
