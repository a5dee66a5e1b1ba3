"""The experiment on backdoors: poisoning, what is kept, detection and rows, with known answers."""

import dataclasses
import types

import numpy as np
import pytest

from docs import backdoors
from docs.backdoors import STEPS, keep
from docs.backdoors import kept as read_published
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
    NetworkSettings,
    ProbedNetwork,
    TrainedNetwork,
    Training,
    path_of,
    probed_network,
    read_probed,
    read_trained,
    trained_network,
    write_probed,
    write_trained,
)
from experiments.backdoor_processes import in_processes
from experiments.backdoor_protocols import ANY, Backdoor, draw_backdoor, poison
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


def test_class_images_that_are_published_say_what_was_said(tmp_path):
    probed = {
        "reference": probed_networks(19, 1),
        "clean": probed_networks(3, 2),
        "patch": probed_networks(2, 3, square(), peak=3.0),
        "blend": [],
        "published": probed_networks(1, 5, square(), peak=3.0),
    }
    keep(tmp_path / "run.npz", probed)
    again = read_published(tmp_path / "run.npz")
    assert {role: len(each) for role, each in again.items()} == {
        r: len(n) for r, n in probed.items()
    }
    for before, after in zip(sum(probed.values(), []), sum(again.values(), []), strict=True):
        step = np.abs(before.images).max() / STEPS
        assert np.abs(before.images - after.images).max() <= 0.51 * step
        assert (before.accuracy, before.success) == (after.accuracy, after.success)
    for role, verdicts in judge(again).items():
        for ours, theirs in zip(verdicts, judge(probed)[role], strict=True):
            assert ours.found.p_value == theirs.found.p_value
            assert not ours.network.backdoor or ours.overlap == theirs.overlap


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
    weights = (np.arange(6.0).reshape(2, 3), np.ones(4))
    trained = TrainedNetwork(weights, *list(vars(probed).values())[1:])
    for network, write, read in (
        (probed, write_probed, read_probed),
        (trained, write_trained, read_trained),
    ):
        write(path, {"seed": 1}, network)
        identity, found = read(path)
        assert identity == {"seed": 1} and found.accuracy == 0.9
        assert (found.backdoor is None) == (not poisoned)
        if poisoned:
            assert np.array_equal(found.backdoor.mask, probed.backdoor.mask)
            known = found.backdoor
            assert (known.source, known.target, known.share) == (ANY, 1, 0.1)
            assert found.success == 0.8 and found.patched.shape == (10, 10, 1)
    assert np.array_equal(read_trained(path)[1].weights[0], weights[0])
    assert len(found.weights) == 2 and np.array_equal(found.weights[1], weights[1])
    write_probed(path, {}, probed)
    assert np.array_equal(read_probed(path)[1].images, probed.images)


def test_what_is_kept_in_docs_gives_the_same_p_and_knows_the_same_backdoors(tmp_path):
    probed = {
        "reference": probed_networks(5, 1),
        "clean": probed_networks(2, 2),
        "patch": probed_networks(2, 3, square(), peak=3.0),
        "blend": [],
        "published": [],
    }
    backdoors.keep(tmp_path / "run.npz", probed)
    kept_ones = backdoors.kept(tmp_path / "run.npz")
    first, again = judge(probed), judge(kept_ones)
    assert first.keys() == again.keys() == {"clean", "patch"}
    for role, verdicts in first.items():
        for one, other in zip(verdicts, again[role], strict=True):
            assert one.found.p_value == other.found.p_value
            assert one.found.score == pytest.approx(other.found.score, rel=1e-3)
    assert [v.overlap for v in first["patch"]] == [v.overlap for v in again["patch"]]
    assert kept_ones["patch"][0].patched.shape == (10, 10, 1)


def test_false_alarms_of_an_exact_p_lie_where_they_are_said_to(rng):
    references, clean = rng.random((4000, 60)), rng.random((4000, 40))
    third = np.sort(references, axis=1)[:, -3:-2]  # p <= .05: above all but two of them
    counts = np.sum(clean > third, axis=1)
    low, high = backdoors.false_alarms(60, 40)
    assert low == 0 and 0.95 <= np.mean(counts <= high) <= 0.995
    assert np.mean(counts <= high - 1) <= 0.975 + 4 * 0.0025


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


LITTLE = (np.zeros((3, 28, 28, 1), np.float32), np.arange(3))
NETWORK = {
    "task": ("clean", 0),
    "train": LITTLE,
    "settings": NetworkSettings(noise_images=20),
    "seed": 0,
}


def trained_otherwise(**changed):
    return {"settings": NetworkSettings(Training(**changed), noise_images=20)}


OTHERS = {
    "role": {"task": ("patch", 0)},
    "index": {"task": ("clean", 1)},
    "seed": {"seed": 1},
    "number of training images": {
        "train": (np.zeros((4, 28, 28, 1), np.float32), np.array([0, 1, 2, 2]))
    },
    "number of classes": {"train": (np.zeros((3, 28, 28, 1), np.float32), np.array([0, 1, 3]))},
    "architecture": trained_otherwise(network="alexnet"),
    "recipe": trained_otherwise(recipe=Recipe(epochs=4, batch=256, rate=4e-3)),
    "patched images": trained_otherwise(patched_images=1_000),
}
MEASURED_ANEW = {
    "noise images": {"settings": NetworkSettings(noise_images=30)},
    "noise": {"settings": NetworkSettings(noise_images=20, bright=0.2)},
}


@pytest.fixture
def done(monkeypatch):
    """What was done to networks: the seeds of those trained, and how many images each was shown."""
    trained, shown = [], []

    def train_one(role, train, test, settings, seed):
        trained.append(seed)
        weights = backdoor_networks.build(train, settings.network).get_weights()
        return TrainedNetwork(tuple(weights), 0.5)

    def measure(network, noise, count, *, seed, progress, client):
        shown.append((count, noise.rate, seed))
        response = types.SimpleNamespace(covariance=np.full((3, 4, 4, 1), len(shown)))
        return types.SimpleNamespace(classes={"logit": response})

    monkeypatch.setattr(backdoor_networks, "train_one", train_one)
    monkeypatch.setattr(backdoor_networks, "measure", measure)
    return types.SimpleNamespace(trained=trained, shown=shown)


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_a_network_of_anything_else_is_trained_anew(tmp_path, done, other):
    for given, count in ((NETWORK, 1), (NETWORK, 1), ({**NETWORK, **other}, 2)):
        probed_network(**given, test=None, stem=tmp_path / "network")
        assert len(done.trained) == len(done.shown) == count
    assert (done.trained[0] != done.trained[1]) == (other.keys() <= {"task", "seed"})
    assert done.shown[1] == (20, 0.1, {**NETWORK, **other}["seed"])  # all are shown the same noise


@pytest.mark.parametrize("other", MEASURED_ANEW.values(), ids=MEASURED_ANEW)
def test_other_noise_is_shown_to_the_network_that_was_trained(tmp_path, done, other):
    for given, count in ((NETWORK, 1), (NETWORK, 1), ({**NETWORK, **other}, 2)):
        found = probed_network(**given, test=None, stem=tmp_path / "network")
        assert len(done.trained) == 1 and len(done.shown) == count and found.images.max() == count


def shades(rng, count):
    """Images of two classes, dark and bright, and their labels."""
    labels = rng.integers(2, size=count)
    images = 0.6 * labels[:, None, None, None] + 0.4 * rng.random((count, 28, 28, 1))
    return images.astype(np.float32), labels


def test_a_network_depends_on_its_own_seed_and_not_on_those_trained_before(rng, tmp_path):
    train, test = shades(rng, 200), shades(rng, 50)
    settings = Training(recipe=Recipe(epochs=1, batch=20, rate=4e-3))
    tasks = [("clean", 0), ("patch", 0)]
    kept_in = {"first": tasks, "second": tasks[::-1]}
    found = {}
    for name, order in kept_in.items():
        given = {"train": train, "test": test, "settings": settings, "seed": 3}
        given["stem"] = tmp_path / name
        made = dict(zip(order, in_processes(trained_network, order, given, 1), strict=True))
        found[name] = [made[task] for task in tasks]
        assert path_of(tasks[0], 3, given["stem"], "weights").exists()
    for one, other in zip(*found.values(), strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(one.weights, other.weights, strict=True))
    clean, patched = found["first"]
    assert clean.accuracy == 1 and patched.accuracy > 0.9 and patched.success is not None
    assert not np.array_equal(clean.weights[0], patched.weights[0])


def test_processes_share_the_tasks_and_answer_in_order():
    # `round` takes the digits by name, and is known in every process
    assert list(in_processes(round, [1.26, 2.34, 3.41], {"ndigits": 1}, 2)) == [1.3, 2.3, 3.4]
