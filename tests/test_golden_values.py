"""Golden values: numbers that no change moves without saying so.

    python tests/test_golden_values.py    # measures them, and their tolerances, anew

The networks' weights are a formula, so that nothing but the ensembles, the pass and the estimates
decides what comes out. A tolerance is ten times the spread over the kinds of CPU and numbers of
threads in MACHINES, and at least a millionth of the value; of choices, at least what one choice
that turns over can change. Orthogonal numbers are the same to the bit, and have none.
"""

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from reverse_correlation.backend import chosen, import_quietly

import_quietly()

import keras  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402
from keras import ops  # noqa: E402

from reverse_correlation import (  # noqa: E402
    CoarseNoise,
    GaborNoise,
    PinkNoise,
    SinusoidNoise,
    SparseNoise,
    WhiteNoise,
    __version__,
    compare,
    measure,
    measure_choices,
)

FILE = Path(__file__).with_name("golden_values.json")
SHAPE, IMAGES, TRIALS = (12, 12, 1), 16_384, 200
MARGIN, LEAST, ONE_CHOICE = 10, 1e-6, 2e-3
OTHER_FRAMEWORK = 10  # times the tolerance, which was found with TensorFlow
OLD_CPU = {"ONEDNN_MAX_CPU_ISA": "AVX2", "TF_ENABLE_ONEDNN_OPTS": "0"}
THREADS = ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
MACHINES = [kind | dict.fromkeys(THREADS, n) for kind in ({}, OLD_CPU) for n in ("2", "1")]


def formula(shape, phase=0.0):
    """Numbers from -1 to 1 that look irregular, of any shape."""
    return np.sin(np.arange(np.prod(shape)) ** 1.5 + phase).reshape(shape).astype(np.float32)


def network(phase=0.0):
    """A convolution, a hidden layer and three classes, whose weights are a formula."""
    layers = [
        keras.layers.Conv2D(4, 3, activation="relu", name="conv"),
        keras.layers.Flatten(),
        keras.layers.Dense(8, activation="relu"),
        keras.layers.Dense(3, activation="softmax"),
    ]
    made = keras.Sequential([keras.Input(SHAPE), *layers], name=f"formula_{phase:g}")
    weights = [formula(w.shape, phase + i) for i, w in enumerate(made.get_weights())]
    made.set_weights([(w - w.mean()) / (1 + i) for i, w in enumerate(weights)])
    return made


def ensembles():
    """Every ensemble, by its name."""
    base, components = 0.5 + formula(SHAPE) / 4, formula((5, *SHAPE), 1.0)
    return {
        "orthogonal": WhiteNoise(shape=SHAPE),
        "independent": WhiteNoise(shape=SHAPE, orthogonal=False),
        "uniform": WhiteNoise("uniform", SHAPE),
        "pink": PinkNoise(SHAPE, base=base, contrast=0.1),
        "coarse": CoarseNoise(SHAPE, cells=3),
        "sinusoid": SinusoidNoise(SHAPE),
        "binary": WhiteNoise("binary", SHAPE),
        "sparse": SparseNoise(shape=SHAPE),
        "gabor": GaborNoise(base, components, np.linspace(0.1, 0.5, 5)),
    }


@functools.cache
def shown(name, phase=0):
    """A Measurement of a network with one of the ensembles, its seed the network's phase."""
    return measure(network(phase), ensembles()[name], IMAGES, seed=phase, progress=False)


def drawn():
    """The first pixels of every ensemble, and the first orthogonal numbers."""
    for name, noise in ensembles().items():
        first, second = ops.convert_to_numpy(noise.draw(0, 0, 2)).reshape(2, -1)
        yield f"{name}: pixel 7 of the first image", first[7]
        yield f"{name}: mean of the second image", second.mean()
        if noise.orthogonal_coordinates:
            yield (
                f"{name}: first orthogonal number",
                ops.convert_to_numpy(noise.xi(0, 0, 1)).ravel()[0],
            )


def measured():
    """What is measured of the network with six ensembles, of the logit of class 1."""
    for name in ("orthogonal", "independent", "uniform", "pink", "coarse", "sinusoid"):
        logit, choice = (shown(name).classes[response] for response in ("logit", "choice"))
        yield f"{name}: covariance", logit.covariance[1, 3, 4, 0]
        yield f"{name}: z", logit.z[1, 3, 4, 0]
        yield f"{name}: reliability", logit.reliability[1]
        yield f"{name}: linear share", logit.variance.linear[1]
        yield f"{name}: infoVal", logit.info_value[1]
        yield f"{name}: choice, covariance", choice.covariance[1, 3, 4, 0]
        yield f"{name}: choice, images needed", choice.images_needed(0.99)[1]


def people():
    """What 200 choices say, which are those of a template."""
    noise = SinusoidNoise((16, 16))
    xi = ops.convert_to_numpy(noise.independent.xi(0, 0, TRIALS)).reshape(TRIALS, -1)
    found = measure_choices(np.sign(xi @ formula(xi.shape[1:])), noise).classes["choice"]
    yield "people: choice, covariance", found.covariance[0, 3, 4, 0]
    yield "people: choice, reliability", found.reliability[0]
    yield "people: choice, infoVal", found.info_value[0]
    yield "people: choice, images needed", found.images_needed()[0]


def agreement():
    """How far two networks agree on class 1."""
    found = compare([shown("orthogonal", phase) for phase in (0, 1)], "logit")
    yield "agreement: r", found.correlation[0, 1, 1]
    yield "agreement: without noise", found.disattenuated[0, 1, 1]
    yield "agreement: error", found.error
    yield "agreement: ICC(3,1)", found.single.value[1]


def values():
    """All of them: {name: number}."""
    found = [*drawn(), *measured(), *people(), *agreement()]
    return {name: float(value) for name, value in found}


@pytest.fixture(scope="module")
def now():
    return values()


GOLDEN = json.loads(FILE.read_text())["values"] if FILE.exists() else {}


@pytest.mark.parametrize("name", GOLDEN)
def test_a_value_is_what_it_was(now, name):
    was, tolerance = GOLDEN[name]
    tolerance *= 1 if chosen() == "tensorflow" else OTHER_FRAMEWORK
    if name not in now or not abs(now[name] - was) <= tolerance:
        pytest.fail(
            f"{name!r} was {was!r} and is {now.get(name)!r}, tolerance {tolerance:g}: a change "
            "that moves a number says so in CHANGELOG.md; run python tests/test_golden_values.py "
            "to write the new values",
            pytrace=False,
        )


def test_every_value_is_kept(now):
    assert list(now) == list(GOLDEN)


def write():
    """Measure on every kind of machine that this one can play, and write values and tolerances."""
    found = []
    for machine in MACHINES:
        command = [sys.executable, __file__, "--print"]
        environment = {**os.environ, **machine}
        found.append(json.loads(subprocess.check_output(command, env=environment, text=True)))
    lines = []
    for name, value in found[0].items():
        spread = max(each[name] for each in found) - min(each[name] for each in found)
        least = ONE_CHOICE if "choice" in name else LEAST
        tolerance = max(MARGIN * spread, least * abs(value))
        if "orthogonal number" in name:
            assert spread == 0, name
            tolerance = 0
        lines.append(f"  {json.dumps(name)}: [{value!r}, {tolerance:.2g}]")
    how = __doc__.split("\n\n")[2].strip().replace("\n", " ")
    head = {"command": "python tests/test_golden_values.py", "version": __version__, "how": how}
    begin = json.dumps(head, indent=1)[:-2]
    FILE.write_text(begin + ',\n "values": {\n' + ",\n".join(lines) + "\n }\n}\n")


if __name__ == "__main__":
    print(json.dumps(values())) if "--print" in sys.argv else write()
