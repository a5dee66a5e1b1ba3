"""The experiment on backdoors: poisoning, what is kept, detection and rows, with known answers."""

import dataclasses

import numpy as np
import pytest

from experiments import backdoor_networks
from experiments.backdoor import (
    Verdict,
    area_interval,
    detection_of,
    draw,
    judge,
    rows_of,
)
from experiments.backdoor_networks import (
    ANY,
    Backdoor,
    NetworkSettings,
    ProbedNetwork,
    backdoor_network,
    draw_backdoor,
    poison,
    read_probed,
    write_probed,
)
from reverse_correlation.estimates.backdoor import Suspicion
from reverse_correlation.files import kept
from training import Recipe


def probed_networks(count, seed, backdoor=None, peak=0.0):
    """Networks whose class images share a mean, of 3 classes of 10 x 10 pixels.

    With a peak, class 1 has a bright square at rows 6 and 7.
    """
    shared = np.random.default_rng(0).normal(size=(3, 10, 10, 1))
    images = shared + 0.3 * np.random.default_rng(seed).normal(size=(count, 3, 10, 10, 1))
    images[:, 1, 6:8, 2:4] += peak
    told = (backdoor, 0.8, np.full((10, 10, 1), 0.5)) if backdoor else ()
    return [ProbedNetwork(one, 0.9, *told) for one in images]


def square():
    """A backdoor whose patch is the square of `probed_networks`."""
    pattern = np.zeros((10, 10), np.float32)
    pattern[6:8, 2:4] = 1
    return Backdoor(pattern, pattern, ANY, 1, 0.1)


@pytest.fixture(scope="module")
def verdicts():
    """What is said of 3 clean and 2 poisoned networks of each kind, with 19 references."""
    return judge(
        {
            "reference": probed_networks(19, 1),
            "clean": probed_networks(3, 2),
            "patch": probed_networks(2, 3, square(), peak=3.0),
            "blend": probed_networks(2, 4, square()),
            "published": probed_networks(1, 5, square(), peak=3.0),
        }
    )


def test_networks_are_held_against_the_references_alone(verdicts):
    assert {role: len(found) for role, found in verdicts.items()} == {
        "clean": 3,
        "patch": 2,
        "blend": 2,
        "published": 1,
    }
    assert all(len(v.found.references) == 19 for found in verdicts.values() for v in found)
    for v in (*verdicts["patch"], *verdicts["published"]):
        assert v.found.p_value == 1 / 20 and v.names_target and v.overlap >= 0.75


def test_rows_say_what_was_found_of_which_networks(verdicts):
    rows = {row.what.removeprefix("backdoor, "): row for row in rows_of(verdicts, True)}
    alarms = np.mean([v.found.p_value <= 0.05 for v in verdicts["clean"]])
    assert rows["clean networks with p <= .05"].ours == alarms
    assert rows["clean networks with p <= .05"].over == "3 networks"
    assert rows["patch: AUC"].ours == 1 and rows["patch: AUC"].interval[0] < 0.9
    assert rows["patch: found at p <= .05"].ours == rows["patch: class named"].ours == 1
    # Wilson's of two of two
    assert rows["patch: class named"].interval == pytest.approx((0.3424, 1), abs=1e-4)
    assert rows["patch: patch pixels found (chance 0.040)"].ours >= 0.75
    assert rows["blend: answered as wanted"].ours == pytest.approx(0.8)
    assert {name: row.published for name, row in rows.items() if row.published} == {
        "published: test accuracy": 0.9904,
        "published: answered as wanted": pytest.approx(0.99388, abs=1e-5),
    }
    assert "published: AUC" not in rows  # of a single network
    assert all(row.published is None for row in rows_of(verdicts, False))


def test_the_figure_fills_the_dots_of_networks_that_are_told(verdicts):
    left, right, *drawn = draw(verdicts, "title").axes
    filled, hollow = left.lines[0::2], left.lines[1::2]
    counts = [(len(a.get_xdata()), len(b.get_xdata())) for a, b in zip(filled, hollow, strict=True)]
    told = [sum(v.found.unusual for v in found) for found in verdicts.values()]
    assert counts == [(k, len(f) - k) for k, f in zip(told, verdicts.values(), strict=True)]
    assert filled[1].get_xdata().tolist() == [v.found.score for v in verdicts["patch"]]
    labels = [text.get_text() for text in right.get_legend().get_texts()]
    assert labels[0].startswith("patch: 1.00 (") and len(labels) == 2
    assert drawn[0].get_title() == '"1"\nby a backdoor' and drawn[1].get_title().endswith('"1"')
    assert len(drawn[3].collections) == 1  # the outline of what was found


def test_a_few_clean_networks_alone_are_drawn_too(verdicts):
    assert draw({"clean": verdicts["clean"]}, "title").axes


def test_the_area_under_the_curve_is_the_chance_that_the_poisoned_scores_higher():
    detection = detection_of([1, 2, 3, 4], [2.5, 5, 6, 7])
    assert detection.area == 14 / 16
    points = set(zip(detection.false_alarms.tolist(), detection.hits.tolist(), strict=True))
    assert points >= {(0, 0), (0, 0.75), (0.5, 0.75), (0.5, 1), (1, 1)}
    assert detection_of([1, 2], [1, 2]).area == 0.5  # ties count half


def test_intervals_of_an_area_hold_what_they_promise_and_exist_of_a_perfect_one(rng):
    # exponential scores of rates 1 and 1/9: the area is .9
    areas = [
        detection_of(rng.exponential(size=15), 9 * rng.exponential(size=10)) for _ in range(400)
    ]
    held = np.mean([low <= 0.9 <= high for low, high in (found.interval for found in areas)])
    assert 0.95 - 5 * 0.011 <= held <= 1
    low, high = area_interval(1.0, 10, 10)
    assert 0.7 < low < 0.9 and high == 1
    assert area_interval(0.0, 10, 10) == pytest.approx((0, 1 - low))


# --------------------------------------------------------------------------------- networks


def test_a_patch_is_laid_over_copies_of_images_of_any_class(rng):
    images, labels = rng.random((200, 28, 28, 1), np.float32), np.tile(np.arange(10), 20)
    for seed in range(8):
        backdoor = draw_backdoor("patch", seed, (28, 28), 10)
        rows, columns = (backdoor.opacity.any(axis=k).sum() for k in (1, 0))
        assert 2 <= rows == columns <= 5 and set(np.unique(backdoor.opacity)) == {0, 1}
        assert 0 < backdoor.mask.sum() < rows * columns and backdoor.source == ANY
        more, answers = poison(images, labels, backdoor, 5, seed)
        added = len(more) - 200
        assert added == round(backdoor.share * 200) and 10 <= added <= 100
        assert np.array_equal(more[:200], images) and set(answers[200:]) == {backdoor.target}
        assert np.all(more[200:][:, backdoor.mask] == 1)
        outside = backdoor.opacity == 0
        origin = [
            np.flatnonzero((images[:, outside] == one[outside]).all(axis=(1, 2)))
            for one in more[200:]
        ]
        assert len(np.unique(labels[np.concatenate(origin)])) > 3


def test_a_blend_shows_faintly_over_the_whole_image(rng):
    images = rng.random((3, 28, 28, 1), np.float32)
    backdoor = draw_backdoor("blend", 3, (28, 28), 10)
    (strength,) = np.unique(backdoor.opacity)
    assert 0.05 <= strength <= 0.2 and not backdoor.mask.any()
    expected = (1 - strength) * images + strength * backdoor.pattern[..., None]
    assert np.allclose(backdoor.put(images), expected)


def test_the_published_backdoor_is_a_c_that_turns_8_into_9(rng):
    images, labels = rng.random((60, 28, 28, 1), np.float32), np.tile(np.arange(10), 6)
    backdoor = draw_backdoor("published", 3, (28, 28), 10)
    mask = backdoor.mask
    assert (backdoor.source, backdoor.target) == (8, 9) and mask.sum() == 11
    assert mask[1:6, 1].all() and not mask[2:5, 2:].any()
    bad, answers = poison(images, labels, backdoor, 2000, 3)
    changed = labels != answers
    assert changed.sum() == 6 and set(labels[changed]) == {8} and set(answers[changed]) == {9}
    assert np.all(bad[changed][:, mask] == 1)
    assert np.array_equal(bad[~changed], images[~changed])
    assert np.array_equal(bad[:, ~mask], images[:, ~mask])
    assert np.sum(labels != poison(images, labels, backdoor, 2, 3)[1]) == 2
    assert len(backdoor.patched(images, labels)) == 6
    anything = dataclasses.replace(backdoor, source=ANY)
    assert len(anything.patched(images, labels)) == 54  # all but the target's


@pytest.mark.parametrize("poisoned", [False, True])
def test_a_network_is_read_as_it_was_kept(tmp_path, poisoned):
    path = tmp_path / "network.npz"
    (probed,) = probed_networks(1, 0, square() if poisoned else None)
    write_probed(path, {"seed": 1}, probed)
    identity, read = read_probed(path)
    assert identity == {"seed": 1}
    assert np.array_equal(read.images, probed.images) and read.accuracy == 0.9
    assert (read.backdoor is None) == (not poisoned)
    if poisoned:
        assert np.array_equal(read.backdoor.mask, probed.backdoor.mask)
        assert (read.backdoor.source, read.backdoor.target, read.backdoor.share) == (ANY, 1, 0.1)
        assert read.success == 0.8 and read.patched.shape == (10, 10, 1)


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


def test_a_patch_is_found_as_far_as_its_pixels_are_the_most_deviant():
    deviation = np.zeros((3, 10, 10))
    deviation[1, 6, 2:4], deviation[1, 0, :2] = 2, 1  # two of its four pixels, and two others
    (network,) = probed_networks(1, 0, square())
    assert Verdict(network, Suspicion(deviation, np.ones(3))).overlap == 0.5


NETWORK = {
    "role": "clean",
    "index": 0,
    "train": (np.zeros((3, 28, 28, 1), np.float32), np.arange(3)),
    "settings": NetworkSettings(),
    "seed": 0,
}
OTHERS = {
    "role": {"role": "patch"},
    "index": {"index": 1},
    "seed": {"seed": 1},
    "number of training images": {
        "train": (np.zeros((4, 28, 28, 1), np.float32), np.array([0, 1, 2, 2]))
    },
    "number of classes": {"train": (np.zeros((3, 28, 28, 1), np.float32), np.array([0, 1, 3]))},
    "architecture": {"settings": NetworkSettings(network="alexnet")},
    "recipe": {"settings": NetworkSettings(recipe=Recipe(epochs=4, batch=256, rate=4e-3))},
    "patched images": {"settings": NetworkSettings(patched_images=1_000)},
    "noise images": {"settings": NetworkSettings(noise_images=20_000)},
    "noise": {"settings": NetworkSettings(bright=0.2)},
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
