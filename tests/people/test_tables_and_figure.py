"""What is said and drawn of people: tables and figures of choices that are known in advance."""

from pathlib import Path

import numpy as np
import pytest
from studies import noise_of

from reverse_correlation import WhiteNoise
from reverse_correlation.figures.style import png
from reverse_correlation.people.answers import Answer
from reverse_correlation.people.figure import draw_people
from reverse_correlation.people.observers import StudyObserver, StudyResult
from reverse_correlation.people.study import Study
from reverse_correlation.people.tables import network_rows, person_rows, print_network, print_people

TRIALS = 40
NETWORK = Path("net.onnx")


def of_trials(trials, shape=(8, 8, 1)):
    return Study(WhiteNoise(shape=shape, contrast=0.08), 0, trials, "Which?", "main")


@pytest.fixture
def study():
    return of_trials(TRIALS)


def answers_of(choices, early=None):
    """Answers whose plus side is right, left, right, ...; times of 700, 701, ... milliseconds."""
    return [
        Answer(
            file=Path("a.csv"),
            line=i + 2,
            stimulus=i + 1,
            response=int(choice),
            side="left" if i % 2 else "right",
            milliseconds=700.0 + i,
            early=None if early is None else early[i],
        )
        for i, choice in enumerate(choices)
    ]


def printed_people(result, capsys):
    """Return the table of people as it is printed."""
    print_people(result, person_rows(result))
    return capsys.readouterr().out


def printed_network(result, capsys):
    """Return the table of a network as it is printed."""
    print_network(result, network_rows(result))
    return capsys.readouterr().out


def rows_of(text):
    """Return {the first word of a line: its other words} of a table."""
    return {line.split()[0]: line.split()[1:] for line in text.splitlines() if line.split()}


def test_a_participant_s_line_says_what_was_pressed(study, capsys):
    choices = np.where(np.arange(TRIALS) < 29, 1, -1)
    early = [2.0 if i % 4 == 0 else 0.0 for i in range(TRIALS)]
    people = [
        StudyObserver.of("ann", choices, study, answers_of(choices, early)),
        StudyObserver.of("bob", np.roll(choices, 5), study, answers_of(np.roll(choices, 5))),
    ]
    group = StudyObserver.of("all", (choices + np.roll(choices, 5)) / 2, study)
    rows = rows_of(printed_people(StudyResult(study, people, group), capsys))
    # plus 29 times of 40; the left picture for plus on 14 odd trials and minus on 5 even ones
    assert rows["ann"][:5] == ["40", "72.5%", "47.5%", "20", "0.72"]
    assert rows["bob"][3] == "-"
    assert rows["all"][:5] == ["40", "72.5%", "-", "-", "-"]


def test_as_many_trials_are_needed_as_bring_the_image_to_a_correlation_of_9_tenths(study, capsys):
    ann = StudyObserver.of("ann", np.sign(noise_of(study)[:, 0]), study)
    rows = rows_of(printed_people(StudyResult(study, [ann]), capsys))
    needs = float(rows["ann"][7].replace(",", ""))
    # r**2 / (1 - r**2) grows in proportion to the trials
    r = ann.estimate.expected_correlation[0]
    assert 0.1 < r < 0.95
    assert needs == pytest.approx(TRIALS * (0.81 / 0.19) / (r**2 / (1 - r**2)), abs=0.51)


def test_trials_on_which_participants_differ_have_no_majority(study, capsys):
    choices = np.random.default_rng(0).choice([-1, 1], TRIALS)
    other = np.where(np.arange(TRIALS) < 10, -choices, choices)
    people = [StudyObserver.of("ann", choices, study), StudyObserver.of("bob", other, study)]
    group = StudyObserver.of("all", (choices + other) / 2, study)
    alike, contrary, never = choices.copy(), -choices, choices.copy()
    alike[10] *= -1  # once against the majority
    never[:20] = 0  # sees no difference between the pictures of 20 trials
    classes = [
        StudyObserver.of(n, c, study) for n, c in (("a", alike), ("b", contrary), ("c", never))
    ]
    out = printed_network(
        StudyResult(study, people, group, classes=classes, network=NETWORK), capsys
    )
    rows = rows_of(out)
    assert "the majority of participants" in out
    assert rows["a"][:3] == ["29", "of", "30"]
    assert rows["b"][:3] == ["0", "of", "30"]
    assert rows["c"][:3] == ["20", "of", "20"]
    out = printed_network(StudyResult(study, people[:1], classes=classes, network=NETWORK), capsys)
    assert "as ann did" in out and rows_of(out)["a"][:3] == ["39", "of", "40"]


def test_a_class_that_looks_for_the_contrary_correlates_negatively(capsys):
    study = of_trials(400)
    choices = np.sign(noise_of(study)[:, 0])
    classes = [
        StudyObserver.of("same", choices, study),
        StudyObserver.of("contrary", -choices, study),
    ]
    ann = StudyObserver.of("ann", choices, study)
    rows = rows_of(
        printed_network(StudyResult(study, [ann], classes=classes, network=NETWORK), capsys)
    )
    r = {name: float(rows[name][6]) for name in ("same", "contrary")}
    assert r["same"] > 0.5 and r["contrary"] == -r["same"]


# ----------------------------------------------------------------------- the figure


def shown_in(figure):
    """Return {title: values of its image} of the panels of a figure."""
    return {a.get_title(): np.asarray(a.images[0].get_array()) for a in figure.axes if a.images}


def test_base_plus_the_image_is_brighter_where_the_image_is_positive():
    study = of_trials(400)
    flat = noise_of(study)
    ann = StudyObserver.of(
        "ann", np.sign(flat[:, 0] - flat[:, 63]), study
    )  # brighter first, darker last
    figure = draw_people(StudyResult(study, [ann]))
    shown = shown_in(figure)
    plus, base, minus = (
        shown[title] for title in ("base plus image of\nann", "base", "base minus image of\nann")
    )
    assert np.all(base == 0.5)
    assert plus[0, 0] > 0.65 and plus[7, 7] < 0.35
    assert np.abs(plus - 0.5).max() == pytest.approx(3 * 0.08)  # three deviations of the noise
    assert np.allclose(plus + minus, 1)
    assert all(image.get_clim() == (0, 1) for axis in figure.axes[:3] for image in axis.images)
    assert shown["ann"][0, 0] > 0.8 and shown["ann"][7, 7] < -0.8
    assert np.abs(shown["ann"]).max() == 1


def test_a_figure_says_where_choices_are_no_more_than_chance():
    study = of_trials(400)
    template = np.random.default_rng(0).normal(size=64)
    for choices, chance in (
        (np.sign(noise_of(study) @ template), False),
        (np.random.default_rng(1).choice([-1, 1], 400), True),
    ):
        figure = draw_people(StudyResult(study, [StudyObserver.of("p", choices, study)]))
        title = " ".join(figure.get_suptitle().split())
        assert ("NOT MORE THAN CHANCE: what they seem to show is noise" in title) == chance


def test_of_many_participants_the_table_has_the_rest():
    study = of_trials(8, (4, 4, 1))
    people = [
        StudyObserver.of(f"p{i}", np.random.default_rng(i).choice([-1, 1], 8), study)
        for i in range(27)
    ]
    figure = draw_people(StudyResult(study, people, people[0]))
    assert len(figure.axes) == 3 + 30 + 1  # five rows of six, the colours, and the base's row
    titles = [axis.get_title() for axis in figure.axes[3:]]
    assert "p23" in titles and "p24" not in titles
    texts = " ".join(text.get_text() for text in figure.subfigs[1].texts)
    assert "3 more are in the table" in " ".join(texts.split())


def test_a_participant_may_be_called_as_a_class_is():
    study = of_trials(8, (4, 4, 1))
    rng = np.random.default_rng(0)
    ann, bob, zero, one = (StudyObserver.of(n, rng.choice([-1, 1], 8), study) for n in "0101")
    figure = draw_people(StudyResult(study, [ann, bob], classes=[zero, one], network=NETWORK))
    titles = [axis.get_title() for axis in figure.axes if axis.get_title()]
    assert titles[3:] == ["0", "1", "net: 0", "net: 1"]
    assert png(figure).startswith(b"\x89PNG")


def test_observers_are_the_same_only_if_they_are_one():
    study = of_trials(8, (4, 4, 1))
    choices = np.array([1, -1] * 4)
    first, second = (StudyObserver.of("ann", choices, study) for _ in range(2))
    assert first == first and first != second and first in [second, first]
