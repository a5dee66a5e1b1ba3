"""How many choices on the other half of the trials images predict."""

import numpy as np
import pytest

from reverse_correlation import WhiteNoise
from reverse_correlation.people.observers import StudyObserver, StudyResult
from reverse_correlation.people.prediction import prediction_rows, print_predictions, trial_drives
from reverse_correlation.people.study import Study

TRIALS = 2000
ERROR = 0.5 / np.sqrt(TRIALS)


@pytest.fixture(scope="module")
def result():
    """Two people of one template, one with internal noise, an unrelated one, and a network."""
    study = Study(WhiteNoise(shape=(4, 4, 1), orthogonal=False), 0, TRIALS, "Which?", "main")
    rng = np.random.default_rng(0)
    xi = study.numbers.reshape(TRIALS, 16)
    template, other = np.linalg.qr(rng.normal(size=(16, 2)))[0].T
    noisy = 0.6 * xi @ template + 0.8 * rng.normal(size=TRIALS)
    drives = {"exact": xi @ template, "noisy": noisy, "other": xi @ other}
    people = [StudyObserver.of(name, np.sign(drive), study) for name, drive in drives.items()]
    network = StudyObserver.of("class", np.sign(xi @ template), study)
    return StudyResult(study, tuple(people), None, (network,))


def test_people_are_predicted_by_images_of_the_other_half_as_far_as_they_are_consistent(result):
    exact, noisy, other, network = prediction_rows(result)
    assert exact.own > 0.95 and other.own > 0.95 and network.own > 0.95
    known = 0.5 + np.arcsin(0.6) / np.pi  # of the true template
    assert known - 0.04 < noisy.own < known + 4 * ERROR and noisy.low < noisy.own < noisy.high
    assert abs(other.by_people - 0.5) < 5 * ERROR and abs(other.of_people - 0.5) < 5 * ERROR
    # a network that is one of three people, mean over them: itself, noisy, and at chance
    mean = (0.97 + known + 0.5) / 3
    assert abs(network.of_people - mean) < 0.03
    assert abs(noisy.by_people - (known + 0.5) / 2) < 0.03  # without itself


def test_nobody_is_predicted_by_an_image_of_the_same_trials():
    """Choices of nothing would be predicted far above chance by the image of the same trials."""
    chance = np.random.default_rng(1).choice([-1.0, 1.0], size=40)
    study = Study(WhiteNoise(shape=(8, 8, 1), orthogonal=False), 0, 40, "Which?", "main")
    guess = StudyObserver.of("guess", chance, study)
    drives = trial_drives(guess, study)
    xi = study.numbers.reshape(40, 64)
    assert np.mean(np.sign(xi @ guess.estimate.coefficients.ravel()) == chance) > 0.8
    assert abs(np.mean(np.sign(drives) == chance) - 0.5) < 4 * 0.5 / np.sqrt(40)
    even = guess.measurement.halves()[0].classes["choice"].coefficients.ravel()
    assert np.allclose(drives[1::2], xi[1::2] @ even)


def test_the_table_says_whose_images_predict_whom(result, capsys):
    rows = prediction_rows(result)
    print_predictions(rows, 3)
    out = capsys.readouterr().out
    line = next(line for line in out.splitlines() if line.split()[:1] == ["noisy"])
    assert f"{rows[1].own:.1%} ({100 * rows[1].low:.1f} to {100 * rows[1].high:.1f})" in line
    assert line.split()[-2:] == [f"{rows[1].by_people:.1%}", f"{rows[1].of_people:.1%}"]
    mean = np.mean([row.own for row in rows[:3]])
    assert f"own images of participants, mean and its 95 % interval over them: {mean:.1%}" in out
    print_predictions(prediction_rows(StudyResult(result.study, result.participants[:1])), 1)
    out = capsys.readouterr().out
    assert "interval over them" not in out and out.splitlines()[4].split()[-2:] == ["-", "-"]
