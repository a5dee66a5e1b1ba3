"""Groups of observers whose common image, or none, is known."""

import numpy as np
import pytest
from helpers import show
from scipy import stats
from small_observers import observer

from reverse_correlation import (
    UserError,
    WhiteNoise,
    group_difference,
    group_image,
    measure_choices,
)
from reverse_correlation.estimates import permutations
from reverse_correlation.estimates.groups import over_observers
from reverse_correlation.estimates.permutations import labels_of, signs_of

NOISE = WhiteNoise(shape=(6, 6, 1), orthogonal=False)
NULLS = 300  # groups without anything in common, as classes of one


@pytest.fixture
def fewer(monkeypatch):
    """Draw 500 signs or labels where there are more."""
    monkeypatch.setattr(permutations, "REARRANGED", 500)


def found(*images):
    """The GroupImage of images (n, K, h, w, c)."""
    return over_observers(*images, names=())


def null_groups(rng, count, common=0.0, trials=200):
    """Images (count, NULLS, 4, 4, 1) of observers who choose at random, all on the same stimuli.

    Args:
        common: how much they share, of what has nothing to do with the pixels that are seen.
    """
    stimuli = rng.normal(size=(trials, 16))
    drive = rng.normal(size=(count, NULLS, trials)) + common * rng.normal(size=(NULLS, trials))
    return (np.sign(drive) @ stimuli / trials).reshape(count, NULLS, 4, 4, 1)


def share_of_alarms(significant):
    return np.mean(significant.reshape(NULLS, -1).any(axis=1))


def test_t_is_student_s_and_of_two_groups_welch_s(rng):
    one, other = rng.normal(size=(7, 2, 4, 5, 3)) * 3 + 1, rng.normal(size=(4, 2, 4, 5, 3))
    assert np.allclose(found(one).t, stats.ttest_1samp(one, 0).statistic)
    oracle = stats.ttest_ind(one, other, equal_var=False)  # as z: within half a per cent
    z = np.sign(oracle.statistic) * stats.norm.isf(oracle.pvalue / 2)
    assert np.allclose(found(one, other).t, z, rtol=5e-3, atol=1e-3)
    assert np.allclose(found(one, other).mean, one.mean(axis=0) - other.mean(axis=0))


def test_p_of_a_single_pixel_is_that_of_scipy_s_permutation_tests(rng):
    one, other = rng.normal(size=8) + 0.8, rng.normal(size=5)

    def size(x, axis):
        return np.abs(stats.ttest_1samp(x, 0, axis=axis).statistic)

    def apart(x, y, axis):
        return -stats.ttest_ind(x, y, axis=axis, equal_var=False).pvalue

    for samples, statistic, kind in (
        ((one,), size, "samples"),
        ((one, other), apart, "independent"),
    ):
        oracle = stats.permutation_test(
            samples, statistic, permutation_type=kind, alternative="greater", n_resamples=np.inf
        )
        ours = found(*(sample.reshape(-1, 1, 1, 1, 1) for sample in samples))
        assert ours.every and ours.p.item() == pytest.approx(oracle.pvalue)


@pytest.mark.parametrize("count", [6, 10, 20])
def test_of_groups_with_nothing_in_common_one_in_twenty_has_a_significant_pixel(count, fewer, rng):
    """Of six, one in 32: the two of 64 signs that leave |t| as it is."""
    null = found(null_groups(rng, count))
    level = {6: 1 / 32}.get(count, 0.05)
    for alarms in (null.significant, null.in_clusters):
        least, most = stats.binom.interval(0.9999, NULLS, level)
        assert least <= NULLS * share_of_alarms(alarms) <= most


@pytest.mark.parametrize("sizes", [(4, 4), (3, 9), (8, 9)])
def test_of_two_groups_of_one_kind_one_in_twenty_differs(sizes, fewer, rng):
    images = null_groups(rng, sum(sizes), common=0.7)  # on the same stimuli, which both share
    null = found(images[: sizes[0]], images[sizes[0] :])
    level = np.floor(0.05 * null.rearranged) / null.rearranged
    if sizes == (4, 4):  # 70 labels, and those of both groups exchanged: an even number
        level = 2 / 70
    least, most = stats.binom.interval(0.9999, NULLS, level)
    assert least <= NULLS * share_of_alarms(null.significant) <= most


def test_what_observers_share_on_the_same_noise_looks_like_an_image(rng):
    """No pixel drives any of them: what is true of these stimuli is not of others."""
    assert share_of_alarms(found(null_groups(rng, 10, common=0.7)).significant) > 0.2


def test_a_smaller_group_that_varies_more_hardly_looks_different(rng):
    """Student's t, of a pooled variance, would see a difference in one of three."""
    few, many = rng.normal(size=(4, NULLS, 1, 1, 1)) * 4, rng.normal(size=(8, NULLS, 1, 1, 1))
    assert share_of_alarms(found(few, many).significant) < 0.1


@pytest.mark.parametrize("count", range(2, 8))
def test_six_observers_are_needed_for_a_twentieth(count):
    images = np.ones((count, 1, 3, 3, 1)) + 1e-3 * np.arange(count).reshape(-1, 1, 1, 1, 1)
    group = found(images)  # as clear as can be
    assert group.least_p == pytest.approx(2 / 2**count) and group.p.min() == group.least_p
    assert group.significant.any() == (count >= 6) == np.isfinite(group.threshold[0])
    assert np.array_equal(group.significant, np.abs(group.t) > group.threshold[0])


def test_rearrangements_are_all_different_and_as_found_first():
    for test, rows in ((signs_of(9), 256), (labels_of(5, 3), 56)):
        assert len(np.unique(test.rows, axis=0)) == len(test.rows) == rows and test.every
    assert labels_of(3, 3).least_p == 2 / 20 and labels_of(2, 5).least_p == 1 / 21
    assert not signs_of(20).every and not labels_of(10, 10).every
    assert (signs_of(20).rows[0] == 1).all() and labels_of(10, 10).rows[0].tolist() == [1] * 10 + [
        0
    ] * 10
    assert (labels_of(10, 12).rows.sum(axis=1) == 10).all()


def test_a_cluster_of_weak_pixels_is_found_where_no_pixel_is(rng):
    images = rng.normal(size=(12, 1, 16, 16, 1))
    images[:, :, 4:9, 5:10] += 0.9
    group = over_observers(images, smooth=1.0, names=())
    assert group.significant.sum() <= 2 and group.in_clusters[0, 6, 7]
    inside = group.in_clusters[0]
    assert inside[4:9, 5:10].mean() > 0.6 and inside.sum() < 50
    assert len(np.unique(group.clusters[0][inside])) == 1


def test_a_class_of_which_an_observer_has_no_image_has_none(rng):
    images = rng.normal(size=(6, 2, 4, 4, 1)) + 5
    images[3, 1] = np.nan
    group = found(images)
    for values in (group.mean, group.t, group.p):
        assert np.isfinite(values[0]).all() and np.isnan(values[1]).all()
    assert np.isnan(group.threshold[1])
    assert group.significant[0].all() and not group.significant[1].any()
    assert not group.in_clusters[1].any()


def test_pixels_that_are_the_same_in_all_are_no_evidence():
    same = np.full((6, 1, 3, 3, 1), 0.3)
    assert not found(same, same + 1e-16).significant.any() and (found(0 * same).t == 0).all()


# ----------------------------------------------------------------------- of measurements


def people(rng, seeds, trials=120, template=None, names=None):
    """Measurements of people who choose by a template, and noise of their own."""
    made = []
    for i, seed in enumerate(seeds):
        xi = np.asarray(NOISE.xi(seed, 0, trials)).reshape(trials, -1)
        drive = rng.normal(size=trials) + (0 if template is None else xi @ template)
        name = names[i] if names else f"p{i}"
        made.append(measure_choices(np.sign(drive), NOISE, seed=seed, name=name))
    return made


def test_a_group_s_image_is_the_mean_correlation_of_its_choices(rng):
    template = np.zeros(36)
    template[[3, 20]] = 1, -1
    group = group_image(people(rng, range(10), template=template))
    # of choices by w.x + e, all of a variance of 1: sqrt(2 / pi) / sqrt(|w|**2 + 1)
    expected = np.sqrt(2 / np.pi) / np.sqrt(3) * template
    assert np.abs(group.mean.ravel() - expected).max() < 4.5 / np.sqrt(1200)
    assert group.significant.ravel()[[3, 20]].all() and not group.same_noise
    assert group.names == (tuple(f"p{i}" for i in range(10)),)


def test_every_observer_counts_the_same(rng):
    """A hundred times the logits, or twice the stimuli, make no observer count more."""
    weights = rng.normal(size=(6, 6, 1, 2))
    counts = [2_048, 2_048, 4_096]
    made = [
        show(observer(weights * slope), count, seed=seed)
        for seed, (slope, count) in enumerate(zip((1, 100, 2), counts, strict=True))
    ]
    group = group_image(made, "logit")
    images = [m.classes["logit"].covariance / m.classes["logit"].covariance.std() for m in made]
    assert np.corrcoef(group.mean.ravel(), np.mean(images, axis=0).ravel())[0, 1] > 0.9999
    assert np.allclose(
        group.mean.std(),
        np.std(weights[..., 0] - weights[..., 1])
        / np.linalg.norm(weights[..., 0] - weights[..., 1]),
        rtol=0.02,
    )


def test_conditions_of_the_same_people_are_paired_by_name(rng):
    template = np.zeros(36)
    template[5] = 1.5
    names = [f"n{i}" for i in range(8)]
    with_it = people(rng, range(8), template=template, names=names)
    without = people(rng, range(8), names=names)[::-1]
    found = group_difference(with_it, without[1:], paired=True, same_noise=True)
    assert found.names == (tuple(names[:7]),) * 2 and found.paired and not found.same_noise
    assert found.significant[0, 0, 5, 0] and found.mean[0, 0, 5, 0] > 0.3
    groups = group_difference(with_it, people(rng, range(20, 28)))
    assert groups.significant[0, 0, 5, 0] and not groups.paired


def test_groups_that_have_no_common_image_are_refused_in_a_sentence(rng):
    own, same = people(rng, range(3)), people(rng, [0] * 3)
    other = show(observer(rng.normal(size=(6, 6, 1, 2))), 2_048, orthogonal=False)
    for make, sentence in (
        (lambda: group_image(own[:1]), "a group of 1 has no errors over observers"),
        (lambda: group_difference(own, own[:1]), "a group of 1"),
        (lambda: group_image([own[0], other]), "compare observers of one task"),
        (lambda: group_image(own, "logit"), "has no logit images"),
        (lambda: group_image(same), "shown the same noise.*--same-noise"),
        (lambda: group_image([own[0], own[0]], same_noise=True), "are the same observer"),
        (lambda: group_image([other, other], same_noise=True), "are the same observer"),
        (lambda: group_difference(own, same), "shown the same noise"),
        (lambda: group_difference(own, same, same_noise=True), "not all shown the same noise"),
        (
            lambda: group_difference(own, people(rng, range(3), names="abc"), paired=True),
            "have no observers in common",
        ),
        (
            lambda: group_difference(own, people(rng, [7, 8], names=["p0", "x"]), paired=True),
            "have 1 observer in common",
        ),
        (
            lambda: group_difference(own, people(rng, [7, 8], names="xx"), paired=True),
            "have the same name",
        ),
    ):
        with pytest.raises(UserError, match=sentence):
            make()
    assert group_image(same, same_noise=True).same_noise
