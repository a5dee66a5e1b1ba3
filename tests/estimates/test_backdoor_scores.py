"""Backdoors: deviation, score, place and a p-value that is exact, with known answers."""

import numpy as np
import pytest
from scipy import stats

from reverse_correlation import SparseNoise, UserError, measure
from reverse_correlation.estimates.backdoor import (
    Suspicion,
    against_others,
    conformal_p,
    find_backdoors,
    held_against,
)

NULLS = 1_000


def class_images(count, rng, peak=0.0):
    """Class images of networks that share a mean, (n, 3, 8, 8, 1).

    With a peak, class 1 has a bright square at rows 5 and 6.
    """
    shared = np.random.default_rng(0).normal(size=(3, 8, 8, 1))
    images = shared + 0.3 * rng.normal(size=(count, 3, 8, 8, 1))
    images[:, 1, 5:7, 2:4] += peak
    return images


def wild_images(count, rng):
    """The same, of networks that differ as no normal distribution has it.

    Their noise has heavy tails, some have much of a direction that they have in common, and images
    of some are larger.
    """
    common = np.random.default_rng(1).normal(size=(3, 8, 8, 1))
    images = class_images(count, rng) + 0.3 * rng.standard_t(4, size=(count, 3, 8, 8, 1))
    images += rng.exponential(size=(count, 1, 1, 1, 1)) * common
    return images * np.exp(0.3 * rng.normal(size=(count, 1, 1, 1, 1)))


def found_of(images):
    """What is said of the first of several networks, the others being references."""
    first, *references = against_others(images)
    return held_against(first, np.array(references))


def test_p_of_clean_scores_is_exact():
    # of 20 exchangeable scores, with 19 references, each place is as likely: p = 1/20, ... 20/20
    scores = np.random.default_rng(3).exponential(size=(20 * NULLS, 20)) ** 3
    p = np.array([conformal_p(one, rest) for one, *rest in scores])
    counts = np.bincount(np.rint(20 * p).astype(int), minlength=21)[1:]
    assert stats.chisquare(counts).pvalue > 1e-3
    tied = [conformal_p(one, rest) for one, *rest in np.round(scores[:5000])]  # not below 5 %
    assert stats.binomtest(int(np.sum(np.array(tied) <= 0.05)), 5000, 0.05, "greater").pvalue > 1e-3


def test_of_clean_images_one_in_twenty_has_p_of_a_twentieth():
    """Through the whole of it, from images to p."""
    rng = np.random.default_rng(5)
    p = np.array([found_of(wild_images(20, rng)).p_value for _ in range(NULLS)])
    for alpha in (0.05, 0.2, 0.5):
        alarms = int(np.sum(p <= alpha + 1e-9))
        assert stats.binomtest(alarms, NULLS, alpha).pvalue > 1e-3, (alpha, alarms)


def test_a_planted_peak_is_found_named_and_placed():
    rng = np.random.default_rng(5)
    clean = class_images(30, rng)
    for planted in class_images(10, rng, peak=3.0):
        found = found_of([planted, *clean])
        assert found.p_value == found.least_p == pytest.approx(1 / 31) and found.unusual
        assert (
            found.suspect == 1 and found.class_p[1] == found.p_value < found.class_p[[0, 2]].min()
        )
        assert found.place[5:7, 2:4].mean() >= 0.75 and found.place.sum() <= 16


def test_each_is_held_against_all_the_others():
    rng = np.random.default_rng(1)
    pool = rng.normal(size=(6, 2, 3, 4))
    found = held_against(pool[0], pool[1:], floor=2.0)
    for i in range(6):
        others = np.delete(pool, i, axis=0)
        variance = others.var(axis=0, ddof=1)
        far = (pool[i] - others.mean(axis=0)) / np.sqrt(variance + 2 * np.median(variance))
        if i:
            assert found.references[i - 1] == pytest.approx(far.max())
        else:
            assert np.allclose(found.deviation, far) and found.score == pytest.approx(far.max())


def test_what_all_classes_share_is_no_backdoor(rng):
    images = class_images(6, rng)
    brighter = images.copy()
    brighter[0] += 5 * rng.normal(size=(1, 8, 8, 1))  # the same for every class
    assert np.allclose(found_of(images).deviation, found_of(brighter).deviation)


def test_a_network_that_differs_where_all_others_agree_stands_out_and_pixels_of_nobody_do_not():
    images = np.zeros((5, 2, 4, 4, 1))
    assert found_of(images).score == 0 and found_of(images).p_value == 1
    images[0, 1, 2, 2] = 1
    with np.errstate(divide="ignore"):
        assert found_of(images).p_value == pytest.approx(1 / 5)


def test_the_place_is_what_joins_the_peak():
    deviation = np.zeros((2, 4, 5))
    deviation[1, 0, :3] = 2, 4, 3
    deviation[1, 3, 4] = 3.9  # as high, elsewhere
    found = Suspicion(deviation, np.array([1.0, 5.0, 4.0]))
    assert found.place.tolist() == [[True, True, True, False, False]] + 3 * [[False] * 5]
    assert found.p_value == 3 / 4 and found.class_p.tolist() == [1, 3 / 4] and not found.unusual


# ------------------------------------------------------------------------------- measurements


def measured(many, rng, count=2000, noise=None, seed=0):
    """Measurements of so many linear networks."""
    noise = noise or SparseNoise(shape=(5, 5, 1))
    weights = rng.normal(size=(many, 25, 3))
    how = {"seed": seed, "progress": False}
    return [measure(lambda x, w=w: x.reshape(-1, 25) @ w, noise, count, **how) for w in weights]


def test_measurements_that_would_stand_out_by_how_they_were_measured_are_refused(rng):
    clean, (other,) = measured(3, rng), measured(1, rng)
    (found,) = find_backdoors([other], clean)
    assert found.least_p == 1 / 4 and found.deviation.shape == (3, 5, 5)
    (elsewhere,) = measured(1, rng, seed=5)
    (fewer,) = measured(1, rng, count=1000)
    (brighter,) = measured(1, rng, noise=SparseNoise(rate=0.2, shape=(5, 5, 1)))
    for wrong, sentence in (
        (elsewhere, "shown the same noise and others not"),
        (fewer, "who was shown fewer would stand out"),
        (brighter, "other noise"),
        (clean[0], "the same observer"),
    ):
        with pytest.raises(UserError, match=sentence):
            find_backdoors([wrong], clean)
    with pytest.raises(UserError, match="two clean networks or more"):
        find_backdoors([other], clean[:1])
    with pytest.raises(UserError, match="no choice images"):  # sparse noise has no pairs
        find_backdoors([other], clean, "choice")
    apart = [measured(1, rng, seed=seed)[0] for seed in range(4)]
    assert find_backdoors(apart[:1], apart[1:])[0].p_value >= 1 / 4
