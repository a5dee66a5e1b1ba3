"""Backdoors: deviation, score, p-value and poisoning, with known answers."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

from experiments.backdoor_detection import (
    area_under_curve,
    backdoor_deviation,
    backdoor_score,
    clean_null,
    detection_of,
    null_p_value,
    null_threshold,
    overlap_with,
)
from experiments.backdoor_figure import Example, draw
from experiments.backdoor_networks import (
    Backdoor,
    ProbedNetwork,
    draw_backdoor,
    poison,
    read_probed,
    write_probed,
)
from reverse_correlation import UserError


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
    with pytest.raises(UserError, match="two at least"):
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
def test_a_network_is_kept_and_read_again_only_for_what_it_depends_on(tmp_path, rng, poisoned):
    path = tmp_path / "network.npz"
    probed = ProbedNetwork(rng.random((3, 4, 4, 1), np.float32), 0.9)
    if poisoned:
        backdoor = Backdoor(np.eye(4, dtype=bool), 1, 2)
        probed = dataclasses.replace(
            probed, backdoor=backdoor, success=0.5, patched=np.ones((4, 4, 1))
        )
    assert read_probed(path, "this") is None
    write_probed(path, "this", probed)
    assert read_probed(path, "that") is None
    read = read_probed(path, "this")
    assert np.array_equal(read.images, probed.images) and read.accuracy == 0.9
    assert (read.backdoor is None) == (not poisoned)
    if poisoned:
        assert np.array_equal(read.backdoor.mask, np.eye(4)) and read.backdoor.target == 2
        assert read.success == 0.5 and read.patched.shape == (4, 4, 1)
    np.savez(path, settings="{}", images=probed.images)  # of an earlier format
    assert read_probed(path, "this") is None
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UserError, match="network.npz is damaged.*delete it"):
        read_probed(path, "this")


def test_the_figure_marks_networks_whose_class_was_not_named():
    scores = {"clean": [2.0, 3.0], "poisoned": [4.0, 9.0], "published": [8.0]}
    detection = detection_of(scores["clean"], scores["poisoned"])
    maps = [Example(np.eye(4), heading) for heading in "abcd"]
    figure = draw(
        [1.5, 2.5], scores, 5.0, np.array([False, True]), detection, maps, np.eye(4) > 0, "title"
    )
    left, right, *examples = figure.axes
    hollow = [line for line in left.lines if line.get_markerfacecolor() == "white"]
    assert [len(line.get_xdata()) for line in hollow] == [0, 0, 1, 0]
    assert hollow[2].get_xdata().tolist() == [4.0]
    assert left.get_title() == "poisoned class named right in 1 of 2 (hollow: not)"
    assert right.get_title() == "AUC 1.000 (95 %: 1.000 to 1.000)"
    assert [axis.get_title() for axis in examples[:4]] == list("abcd")
