"""What every test may ask for. TensorFlow is imported here first, before anything imports Keras."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from reverse_correlation import backend

backend.import_quietly()

import data  # noqa: E402  (it imports Keras)

TESTS = Path(__file__).resolve().parent
LONG = (  # files that take long, the longest first
    "test_paper.py",
    "test_cluster.py",
    "test_sums_and_resume.py",
    "test_measure.py",
    "test_main.py",
    "test_what_answers_mean.py",
    "test_ensembles.py",
    "test_agreement.py",
    "test_estimates.py",
    "test_observers.py",
    "test_compare.py",
    "test_graphs_and_networks.py",
    "test_accumulators.py",
    "test_threshold.py",
    "test_noise_pass.py",
    "test_spectrum.py",
    "test_hostile_files.py",
    "test_plots.py",
)


def pytest_configure(config):
    """Keep pytest-xdist from ordering files by how many tests they have, which says little."""
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


def pytest_collection_modifyitems(items):
    """Begin with the files that take long: one that begins last leaves other processes idle."""
    place = {name: place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: place.get(item.path.name, len(LONG)))


@pytest.fixture
def rng():
    """Random numbers that are the same whichever tests run, and in which order."""
    return np.random.default_rng(0)


class Processes:
    """Starts processes, each in a session of its own, and leaves none of them behind."""

    def __init__(self):
        self._started = []

    def start(self, *command, **kwargs):
        """Start a command as subprocess.Popen does, with the repository and tests importable."""
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS.parent), str(TESTS)])}
        kwargs = {"env": environment, **kwargs, "start_new_session": True}
        process = subprocess.Popen([str(part) for part in command], **kwargs)
        self._started.append(process)
        return process

    def python(self, code, *arguments, **kwargs):
        """Start Python on a text of code."""
        return self.start(sys.executable, "-c", code, *arguments, **kwargs)

    def stop(self):
        """Kill what is left of every session, and wait for it."""
        for process in self._started:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream:
                    stream.close()
            process.wait()


@pytest.fixture
def processes():
    """Processes of a test; whatever fails, they and all their children are killed after it."""
    started = Processes()
    try:
        yield started
    finally:
        started.stop()


@pytest.fixture
def interruptible():
    """SIGINT raises KeyboardInterrupt here, even where it was ignored, as in a background job."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def made_up(monkeypatch):
    """Forty images, four of a class: a bright bar whose place tells the class."""
    labels = np.tile(np.arange(10), 4)
    images = np.random.default_rng(0).random((40, 28, 28, 1), np.float32) / 4
    for image, label in zip(images, labels, strict=True):
        image[2 * label + 4] = 1
    monkeypatch.setattr(data, "load_data", lambda name: ((images, labels), (images, labels)))
    return images, labels
