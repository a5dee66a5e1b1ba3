"""Two conditions of an experiment: when their images differ, and by how much."""

import numpy as np
import pytest
from studies import noise_of

from reverse_correlation import UserError, WhiteNoise
from reverse_correlation.figures.style import png
from reverse_correlation.people.conditions import difference_of
from reverse_correlation.people.figure import draw_difference
from reverse_correlation.people.observers import StudyObserver, StudyResult
from reverse_correlation.people.study import Study

SHAPE = (6, 6, 1)


def study_of(condition, seed=0, trials=300, contrast=0.1):
    return Study(WhiteNoise(shape=SHAPE, contrast=contrast), seed, trials, "Which?", condition)


def condition(study, template, rng, people=3, internal=1.0):
    """The StudyResult of participants who share a template, each with internal noise."""
    drive = noise_of(study) @ template
    noise = internal * drive.std() * rng.normal(size=(people, len(drive)))
    choices = np.sign(drive + noise)
    named = [(f"{study.condition}{i}", c) for i, c in enumerate(choices)]
    participants = tuple(StudyObserver(name, c, None) for name, c in named)  # none is measured
    return StudyResult(study, participants, StudyObserver.of("all", choices.mean(axis=0), study))


@pytest.mark.parametrize("seeds", [(0, 0), (0, 1)], ids=["same trials", "other trials"])
def test_the_difference_is_that_of_the_two_images(seeds, rng):
    first, second = (
        condition(study_of(name, seed), rng.normal(size=36), rng)
        for name, seed in zip("ab", seeds, strict=True)
    )
    found = difference_of(first, second)
    images = [result.group.estimate.covariance for result in (first, second)]
    assert np.allclose(found.observer.estimate.covariance, images[0] - images[1])
    assert found.same_trials == (seeds[0] == seeds[1]) and found.shared == ()
    assert found.observer.estimate.above_chance[0]


def test_trials_that_one_condition_lacks_take_nothing_from_the_other(rng):
    first = condition(study_of("a", trials=200), rng.normal(size=36), rng)
    second = condition(study_of("b", trials=300), rng.normal(size=36), rng)
    images = [result.group.estimate.covariance for result in (first, second)]
    found = difference_of(first, second).observer.estimate.covariance
    assert np.allclose(found, images[0] - images[1])


@pytest.mark.parametrize("seeds", [(0, 0), (0, 1)], ids=["same trials", "other trials"])
def test_of_conditions_that_do_not_differ_z_is_standard_normal(seeds, rng):
    """Groups of another size, whose mean choices have another deviation, are no difference."""
    template, z = rng.normal(size=36), []
    for i in range(20):
        studies = [study_of(name, 2 * i + s, 100) for name, s in zip("ab", seeds, strict=True)]
        sizes = (2, 8)
        results = [condition(s, template, rng, n) for s, n in zip(studies, sizes, strict=True)]
        z.append(difference_of(*results).observer.estimate.z)
    z = np.ravel(z)
    assert abs(z.mean()) < 5 / np.sqrt(len(z))
    assert np.std(z) == pytest.approx(1, abs=5 / np.sqrt(2 * len(z)))


def test_people_who_are_in_both_conditions_are_named(rng):
    study, other = study_of("a"), study_of("b")
    first, second = (condition(s, rng.normal(size=36), rng) for s in (study, other))
    shared = StudyObserver("a1", second.participants[0].choices, None)
    both = StudyResult(other, (shared, *second.participants[1:]), second.group)
    assert difference_of(first, both).shared == ("a1",)


def test_conditions_with_other_pictures_have_no_difference(rng):
    first = condition(study_of("a"), rng.normal(size=36), rng)
    second = condition(study_of("b", contrast=0.2), rng.normal(size=36), rng)
    with pytest.raises(UserError, match="'a' and 'b' are not of one base and noise"):
        difference_of(first, second)


def test_the_figure_shows_both_conditions_and_what_is_not_above_chance_faintly(rng):
    template = rng.normal(size=36)
    first = condition(study_of("a"), template, rng, internal=0.2)
    second = condition(study_of("b", 1), rng.normal(size=36), rng, internal=50)
    found = difference_of(first, second)
    figure = draw_difference(found)
    axes = {axis.get_title(): axis for axis in figure.axes if axis.get_title()}
    assert list(axes) == ["a", "b", "a - b"]
    faint = [axes[name].images[0].get_alpha() < 1 for name in axes]
    observers = (first.group, second.group, found.observer)
    assert faint == [not each.estimate.above_chance[0] for each in observers]
    bar = next(axis for axis in figure.axes if not axis.images)
    assert [solid.get_alpha() for solid in bar.collections if solid.get_alpha()] == [1]
    assert not faint[0] and png(figure).startswith(b"\x89PNG")
