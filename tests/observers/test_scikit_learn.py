"""Estimators of scikit-learn: their columns are their classes, or they are refused."""

import numpy as np
import pytest
from keras import ops
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC
from small_observers import STD, centred, close

from reverse_correlation import Measurement, UserError, WhiteNoise, measure, observers

NOISE = WhiteNoise(shape=(6, 6, 1))
IMAGES = np.random.default_rng(0).random((300, 36))
Z = (IMAGES - 0.5) @ np.random.default_rng(1).normal(size=(36, 3))
NAMES = np.array(["cat", "dog", "emu"])[Z.argmax(axis=1)]
SEVERAL = (Z > np.median(Z, axis=0)).astype(int)


def show(estimator, count=2_000, noise=NOISE, **kwargs):
    return measure(observers.sklearn(estimator), noise, count, progress=False, **kwargs)


def test_classes_are_named_as_they_were_fitted(tmp_path):
    measured = show(LogisticRegression().fit(IMAGES, NAMES))
    assert measured.class_names() == ("cat", "dog", "emu")
    assert measured.class_names("abc") == ("a", "b", "c")
    measured.save(tmp_path / "names.npz")
    assert Measurement.load(tmp_path / "names.npz").class_names() == ("cat", "dog", "emu")
    chosen = show(LogisticRegression().fit(IMAGES, NAMES), only=(2,))
    assert chosen.class_names() == ("emu",)


@pytest.mark.parametrize("inside", [False, True])
def test_a_grid_search_has_the_images_of_the_best_it_found(inside):
    search, scaled = GridSearchCV(LinearSVC(), {"C": [0.01, 1]}), StandardScaler()
    if inside:
        fitted = make_pipeline(scaled, search).fit(IMAGES, NAMES)
        best = make_pipeline(scaled, fitted[-1].best_estimator_)
    else:
        fitted = search.fit(IMAGES, NAMES)
        best = fitted.best_estimator_
    ours, theirs = (show(one).classes["logit"].covariance for one in (fitted, best))
    assert np.array_equal(ours, theirs)


@pytest.mark.parametrize("kind", [LogisticRegression, LinearSVC])
def test_two_classes_have_the_coefficients(kind):
    estimator = kind().fit(IMAGES, NAMES == "cat")
    expected = centred(np.concatenate([-estimator.coef_, estimator.coef_]) / 2)
    measured = show(estimator, 20_000)
    assert close(measured.classes["logit"], expected.reshape(2, 6, 6, 1) * STD**2)
    assert measured.class_names() == ("False", "True")


@pytest.mark.parametrize(
    "estimator",
    [
        OneVsRestClassifier(LogisticRegression()),
        OneVsRestClassifier(LinearSVC()),
        RidgeClassifier(),
        MLPClassifier((10,), max_iter=50, random_state=0),
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_several_labels_are_independent(estimator):
    estimator.fit(IMAGES, SEVERAL)
    measured = show(estimator, 4_000)
    assert "independent" in measured.provenance["logits"]
    stimuli = np.concatenate(
        [ops.convert_to_numpy(NOISE.draw(0, block, 1_000)).reshape(1_000, -1) for block in range(3)]
    )
    assert np.allclose(
        measured.answered / measured.count, estimator.predict(stimuli).mean(axis=0), atol=0.04
    )


def test_one_against_one_votes_are_not_taken_for_classes():
    votes = SVC(decision_function_shape="ovo").fit(IMAGES, NAMES)
    with pytest.raises(UserError, match="3 columns of decision_function agree on .*break_ties"):
        show(votes)
    assert show(votes.set_params(decision_function_shape="ovr", break_ties=True)).count
    x, y = load_digits(return_X_y=True)
    noise = WhiteNoise(shape=(8, 8, 1), low=0, high=16)
    with pytest.raises(UserError, match="10 classes, gives to noise, the 45 columns"):
        show(SVC(decision_function_shape="ovo").fit(x[:500], y[:500]), noise=noise)


class Platt(LogisticRegression):
    """Probabilities whose largest is not what it predicts."""

    def predict_proba(self, x):
        return super().predict_proba(x)[:, ::-1]


def test_where_probabilities_say_otherwise_decisions_are_taken():
    ours, theirs = (show(kind().fit(IMAGES, NAMES)) for kind in (Platt, LogisticRegression))
    assert "logits" in ours.provenance["logits"]
    assert np.array_equal(ours.answered, theirs.answered)


@pytest.mark.parametrize(
    ("estimator", "sentence"),
    [
        (LogisticRegression(), "LogisticRegression is not fitted: call fit"),
        (GridSearchCV(LinearSVC(), {"C": [1]}), "GridSearchCV is not fitted: call fit"),
        (make_pipeline(StandardScaler(), LinearSVC()), "Pipeline is not fitted: call fit"),
        (RandomForestClassifier(5).fit(IMAGES, SEVERAL), "a list of 3 arrays, one for each"),
        (MultiOutputClassifier(LogisticRegression()).fit(IMAGES, SEVERAL), "a list of 3 arrays"),
        (KNeighborsClassifier().fit(IMAGES, SEVERAL), "a list of 3 arrays"),
        (StandardScaler().fit(IMAGES), "has neither predict_proba nor decision_function"),
    ],
    ids=lambda value: str(value)[:25],
)
def test_what_cannot_be_measured_is_refused_in_one_sentence(estimator, sentence):
    with pytest.raises(UserError, match=sentence):
        show(estimator)


def test_an_estimator_of_other_images_is_refused(rng):
    estimator = LogisticRegression().fit(rng.random((20, 9)), np.arange(20) % 2)
    with pytest.raises(UserError, match="fitted to 9 numbers per image"):
        show(estimator)
