"""The pass on a Dask cluster of real processes, which die at the worst moments."""

import importlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import dask
import keras
import numpy as np
import onnx_files
import psutil
import pytest
from conftest import Processes
from distributed import LocalCluster, Security, WorkerPlugin
from helpers import same_bits
from own_layer import Dawdler, Halve, contrasts

from reverse_correlation import (
    ACCUMULATORS,
    GaborNoise,
    Measurement,
    Network,
    UserError,
    WhiteNoise,
    cluster,
    measure,
    observers,
)
from reverse_correlation.errors import FileError
from reverse_correlation.estimates.sums import read_sums
from reverse_correlation.passes import measure as measuring
from reverse_correlation.passes import worker
from reverse_correlation.passes.noise_pass import NoisePass
from reverse_correlation.passes.shards import SumTree

ROOT = Path(__file__).resolve().parents[2]
NOISE = WhiteNoise(shape=(10, 9, 1), orthogonal=False)
ORTHOGONAL = WhiteNoise(shape=(10, 9, 1))
BLOCK = 50
SHARD = 8 * BLOCK  # images
COUNT = 100 * SHARD + 30
ORTHOGONAL_COUNT = 20 * 2048
OWN = (*ACCUMULATORS, Dawdler)
ONE_THREAD = {"TF_NUM_INTRAOP_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
SILENT_BAR = SimpleNamespace(update=lambda _: None, set_description_str=lambda *_, **__: None)


def network():
    keras.utils.set_random_seed(0)
    images = keras.Input(NOISE.shape)
    x = keras.layers.Conv2D(3, 3, activation="relu", name="conv")(images)
    x = keras.layers.Dense(4, name="logits")(keras.layers.Flatten()(Halve()(x)))
    return keras.Model(images, keras.layers.Softmax()(x), name="small")


def run(client=None, count=COUNT, model=None, noise=NOISE, **kwargs):
    settings = {"layers": ["conv"], "accumulators": OWN, "block_images": BLOCK, "save_seconds": 0}
    settings |= {"progress": False, "client": client, **kwargs}
    return measure(model or network(), noise, count, **settings)


def shards_in(path):
    return read_sums(path)[1]["shards"] if path.exists() else 0


def wait_until(condition, seconds=240):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


class Machines:
    """A scheduler and workers, each a process, in a folder without the repository's modules."""

    def __init__(self, folder, processes):
        self.folder, self.workers, self.processes = folder, [], processes
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = str(free.getsockname()[1])
        self.address = f"tcp://127.0.0.1:{self.port}"
        self.start_scheduler()

    def _dask(self, *arguments, **more):
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        with open(self.folder / "log.txt", "ab") as log:
            return self.processes.start(
                *(sys.executable, "-m", "dask", *arguments),
                cwd=self.folder,
                env={**environment, **ONE_THREAD, "WITNESSES": str(self.folder), **more},
                stdout=log,
                stderr=log,
            )

    def start_scheduler(self):
        flags = ["--host", "127.0.0.1", "--port", self.port, "--dashboard-address", "127.0.0.1:0"]
        self.scheduler = self._dask("scheduler", *flags)

    def start_workers(self, number=1, address=None, **more):
        flags = ["--nthreads", "1", "--no-nanny", "--no-dashboard", "--local-directory", "."]
        for _ in range(number):
            self.workers.append(self._dask("worker", address or self.address, *flags, **more))

    def kill_workers(self, number=None):
        for process in [self.workers.pop(0) for _ in range(number or len(self.workers))]:
            process.kill()
            process.wait()

    def took_part(self):
        """Return how many of the workers computed something since this was last asked."""
        witnesses = {int(path.stem) for path in self.folder.glob("*.pid")}
        for path in self.folder.glob("*.pid"):
            path.unlink()
        return len(witnesses & {process.pid for process in self.workers})


@pytest.fixture(scope="module")
def module_processes():
    """Processes of all tests of this module; whatever fails, they are killed in the end."""
    started = Processes()
    try:
        yield started
    finally:
        started.stop()


@pytest.fixture(scope="module")
def machines(module_processes, tmp_path_factory):
    machines = Machines(tmp_path_factory.mktemp("machines"), module_processes)
    machines.start_workers(2)
    return machines


CLIENT = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)

from pathlib import Path
from reverse_correlation import backend, cluster
backend.import_quietly()
from passes import test_cluster

folder = Path(sys.argv[1])
test_cluster.run().save(folder / "reference.npz")
count = test_cluster.ORTHOGONAL_COUNT
orthogonal = test_cluster.run(count=count, noise=test_cluster.ORTHOGONAL)
orthogonal.save(folder / "orthogonal.npz")
print("saved", flush=True)
for line in sys.stdin:
    address, checkpoint, count = line.split()
    try:
        with cluster.connect(address) as client:
            print("connected", flush=True)
            test_cluster.run(client, count=int(count), checkpoint=Path(checkpoint))
    except KeyboardInterrupt:
        print("stopped", flush=True)
"""


class Another:
    """A process that runs the pass alone, twice, and then on clusters, as it is told to."""

    def __init__(self, folder, processes):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        paths = os.pathsep.join([str(ROOT), f"{ROOT}/tests"])
        environment = {**os.environ, **ONE_THREAD, "PYTHONPATH": paths}
        self.folder = folder
        self.process = processes.python(CLIENT, folder, env=environment, text=True, **pipes)

    def run(self, address, checkpoint, count=COUNT):
        """Begin a pass on a cluster; return once it is connected."""
        self.process.stdin.write(f"{address} {checkpoint} {count}\n")
        self.process.stdin.flush()
        assert self.says() == "connected"

    def says(self):
        """Return the next line that it prints."""
        return self.process.stdout.readline().rstrip()

    def errors(self):
        """Return what it has written to standard error."""
        stderr = self.process.stderr.fileno()
        os.set_blocking(stderr, False)
        try:
            return os.read(stderr, 10_000)
        except BlockingIOError:
            return b""


@pytest.fixture(scope="module")
def another(machines, module_processes, tmp_path_factory):
    """A process beside this one; it starts when the workers do."""
    return Another(tmp_path_factory.mktemp("another"), module_processes)


@pytest.fixture(scope="module")
def reference(another):
    """The pass in one process, with as many threads as each worker has: one."""
    assert another.says() == "saved"
    return Measurement.load(another.folder / "reference.npz", OWN)


def test_two_workers_give_the_bits_of_one_process(machines, reference):
    with cluster.connect(machines.address) as client:
        client.wait_for_workers(2, timeout=120)
        assert same_bits(run(client), reference)
    assert machines.took_part() == 2


def test_two_workers_give_the_bits_of_one_process_with_orthogonal_numbers(
    machines, another, reference
):
    expected = Measurement.load(another.folder / "orthogonal.npz", OWN)
    with cluster.connect(machines.address) as client:
        measurement = run(client, count=ORTHOGONAL_COUNT - 7, noise=ORTHOGONAL)
    assert machines.took_part() == 2 and measurement.count == ORTHOGONAL_COUNT
    assert same_bits(measurement, expected)
    assert measurement.provenance == expected.provenance


@pytest.mark.parametrize(
    ("noise", "until"),
    [(NOISE, 0.9), (ORTHOGONAL, 0.99)],
    ids=["independent", "orthogonal"],
)
def test_a_pass_that_stops_when_it_is_good_stops_at_the_same_place(noise, until, machines):
    with cluster.connect(machines.address) as client:
        there, here = (
            run(where, count=10**6, noise=noise, until=until) for where in (client, None)
        )
    assert there.count == here.count < 10**6
    for kind, estimate in there.classes.items():
        assert np.allclose(estimate.covariance, here.classes[kind].covariance, atol=1e-5)


def test_noise_made_of_arrays_and_a_network_of_another_name_travel(machines):
    rng = np.random.default_rng(0)
    mean, components = rng.random(NOISE.shape), rng.normal(size=(5, *NOISE.shape))
    noise = GaborNoise(mean, components, np.linspace(1, 2, 5))
    settings = {"progress": False, "accumulators": OWN, "block_images": BLOCK}
    with cluster.connect(machines.address) as client:
        there, here = (
            measure(
                Network(network(), noise, "mine"), noise, 3 * SHARD + 7, client=where, **settings
            )
            for where in (client, None)
        )
    assert there.provenance == here.provenance and machines.took_part()
    for response, estimate in there.classes.items():
        assert np.allclose(estimate.covariance, here.classes[response].covariance, atol=1e-6)


def test_the_contrast_that_was_looked_for_here_is_shown_there(machines):
    base = np.random.default_rng(1).random(NOISE.shape)
    noise = WhiteNoise(shape=NOISE.shape, base=base)
    with cluster.connect(machines.address) as client:
        there, here = (
            measure(network(), noise, 3 * 2048, client=where, progress=False)
            for where in (client, None)
        )
    assert there.provenance == here.provenance and "at_threshold" in here.provenance
    for response, estimate in there.classes.items():
        assert np.allclose(estimate.covariance, here.classes[response].covariance, atol=1e-6)


def as_onnx(folder):
    weights = np.random.default_rng(0).normal(size=(90, 3))
    return observers.onnx(onnx_files.dense(folder / "net.onnx", weights, ["n", 1, 10, 9]))


@pytest.mark.parametrize("made", [as_onnx, lambda folder: contrasts])
def test_an_onnx_file_travels_as_bytes_and_a_function_by_its_module(made, machines, tmp_path):
    answer, settings = made(tmp_path), {"accumulators": ACCUMULATORS, "layers": ()}
    with cluster.connect(machines.address) as client:
        (tmp_path / "net.onnx").unlink(missing_ok=True)
        there = run(client, count=9 * SHARD + 30, model=answer, **settings)
    here = run(count=9 * SHARD + 30, model=answer, **settings)
    for response, estimate in here.classes.items():
        largest = np.abs(estimate.covariance).max()
        difference = np.abs(there.classes[response].covariance - estimate.covariance)
        assert difference.max() < 1e-5 * largest, response


def test_a_function_that_is_not_at_the_top_of_a_module_cannot_travel(monkeypatch):
    work = NoisePass(lambda images: contrasts(images), NOISE)
    with pytest.raises(UserError, match="stand at the top of a module"):
        worker.upload(work)
    monkeypatch.setattr(contrasts, "__module__", "__main__")
    with pytest.raises(UserError, match="contrasts is defined in the script itself"):
        worker.upload(NoisePass(contrasts, NOISE))


def test_a_worker_lets_go_of_the_modules_of_an_earlier_pass(machines, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    package = tmp_path / "travelling"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "sums.py").write_text(
        "from own_layer import Dawdler\n"
        "from .factors import FACTOR\n\n\n"
        "class Scaled(Dawdler):\n"
        "    def finish(self, shard):\n"
        "        return {'n': FACTOR * shard['n']}\n"
    )
    with cluster.connect(machines.address) as client:
        for factor in (1, 2):
            (package / "factors.py").write_text(f"FACTOR = {factor}\n\n# {'longer' * factor}\n")
            for name in [name for name in sys.modules if name.startswith("travelling")]:
                monkeypatch.delitem(sys.modules, name)
            importlib.invalidate_caches()
            own = (importlib.import_module("travelling.sums").Scaled,)
            sums = run(client, 2 * SHARD, accumulators=own).sums
            assert sums["dawdler"]["n"].tolist() == [factor * SHARD, factor * SHARD]


def test_a_worker_of_other_versions_or_settings_is_named(machines, monkeypatch):
    work = NoisePass(network(), NOISE, block_images=BLOCK)
    true = work.identity
    with cluster.connect(machines.address) as client:
        for wrong, sentence in [
            (
                {"versions": {**true["versions"], "keras": "1"}},
                r"it has keras 3\..*, but .* pass needs 1",
            ),
            ({"seed": 5}, "its seed is 0, but this pass needs 5"),
            ({"instructions": "avx9"}, "its instructions is None, but this pass needs avx9"),
        ]:
            work.identity = {**true, **wrong}
            with pytest.raises(UserError, match=f"worker tcp://127.* stopped: {sentence}"):
                next(cluster.sums_on(client, work, 0, 1, 0, SILENT_BAR))


def test_a_network_that_answers_nan_on_a_worker_is_refused_with_its_name(machines, monkeypatch):
    monkeypatch.setattr(measuring, "first_remarks", lambda work: [])
    monkeypatch.setattr(Network, "looked", lambda self, noise, _: Network(self.model, noise))
    damaged = network()
    damaged.get_layer("logits").bias.assign([np.nan, 0, 0, 0])
    with cluster.connect(machines.address) as client:
        with pytest.raises(UserError, match="the worker tcp://127.* stopped: .*answers NaN"):
            run(client, model=damaged)


def test_local_workers_are_pinned_listen_on_loopback_and_leave_quietly_on_ctrl_c(
    another, reference, tmp_path
):
    another.run("local:2", tmp_path / "sums.npz", count=10**9)
    client = psutil.Process(another.process.pid)
    workers = [
        process
        for process in client.children(recursive=True)
        if "spawn_main" in " ".join(process.cmdline())
    ]
    assert len(workers) == 2
    cores = [process.cpu_affinity() for process in workers]
    assert len(cores[0]) == max(1, len(os.sched_getaffinity(0)) // 2)
    assert cores[0] != cores[1] or len(os.sched_getaffinity(0)) == 1
    for process in (client, *workers):
        listening = [c for c in process.net_connections() if c.status == psutil.CONN_LISTEN]
        assert listening and {c.laddr.ip for c in listening} == {"127.0.0.1"}
    wait_until(lambda: shards_in(tmp_path / "sums.npz"))
    os.killpg(client.pid, signal.SIGINT)  # as a terminal does, to all of them
    assert another.says() == "stopped"
    assert not psutil.wait_procs(workers, timeout=20)[1]
    assert not another.errors()


def test_workers_killed_at_work_lose_nothing_and_new_ones_take_over(
    machines, reference, monkeypatch
):
    take, taken = cluster.Tasks.take, []

    def kill(tasks):
        taken.append(len(machines.workers))
        if len(taken) == 5:
            machines.kill_workers(1)
        if len(taken) == 20:
            machines.kill_workers()
            machines.start_workers()
        return take(tasks)

    monkeypatch.setattr(cluster.Tasks, "take", kill)
    with cluster.connect(machines.address) as client:
        assert same_bits(run(client), reference)
    assert set(taken) == {2, 1} and machines.took_part() == 1


def test_one_worker_gives_the_bits_of_one_process(machines, reference):
    with cluster.connect(machines.address) as client:
        assert same_bits(run(client), reference)


def test_a_killed_client_and_a_killed_scheduler_leave_a_checkpoint_that_is_continued(
    machines, reference, another, tmp_path, monkeypatch
):
    checkpoint, take = tmp_path / "sums.npz", cluster.Tasks.take
    another.run(machines.address, checkpoint)
    wait_until(lambda: shards_in(checkpoint))
    another.process.kill()
    another.process.wait()
    saved = shards_in(checkpoint)
    assert 0 < saved < 100

    def kill_scheduler(tasks):
        if shards_in(checkpoint) == saved + 5:
            machines.scheduler.kill()
        return take(tasks)

    with monkeypatch.context() as patched, cluster.connect(machines.address) as client:
        patched.setattr(cluster.Tasks, "take", kill_scheduler)
        with pytest.raises(FileError, match=f"Dask scheduler at {machines.address} is gone"):
            run(client, checkpoint=checkpoint)
    assert saved + 5 <= shards_in(checkpoint) < 100

    machines.kill_workers()
    machines.start_scheduler()
    machines.start_workers()
    with cluster.connect(machines.address) as client:
        assert same_bits(run(client, checkpoint=checkpoint), reference)


def test_no_workers_are_waited_for_and_one_without_a_package_is_named(
    machines, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(cluster, "PATIENCE_SECONDS", 0.2)
    package = keras.backend.backend()
    lacking = f"raise ModuleNotFoundError('No module named {package}', name='{package}')"
    (tmp_path / f"{package}.py").write_text(lacking)
    look = cluster.Workers.look

    def start_one_when_told(workers):
        look(workers)
        if "waiting" in capsys.readouterr().err:
            machines.start_workers(1, workers.client.scheduler.address, PYTHONPATH=str(tmp_path))

    monkeypatch.setattr(cluster.Workers, "look", start_one_when_told)
    with LocalCluster(n_workers=0, host="127.0.0.1", dashboard_address="127.0.0.1:0") as empty:
        with cluster.connect(empty.scheduler_address) as client:
            lacks = f"the worker tcp://.* lacks the package {package}: "
            with pytest.raises(UserError, match=lacks):
                run(client)


@pytest.fixture
def certificates(tmp_path):
    """An authority, and a certificate for scheduler, worker and client alike, by openssl."""
    authority, certificate = tmp_path / "ca.pem", tmp_path / "own.pem"
    new = ["openssl", "req", "-newkey", "rsa:2048", "-nodes", "-subj"]
    request = ["-keyout", tmp_path / "own.key", "-out", tmp_path / "own.csr"]
    signed_by = ["-CA", authority, "-CAkey", tmp_path / "ca.key", "-CAcreateserial"]
    for command in (
        [*new, "/CN=authority", "-x509", "-keyout", tmp_path / "ca.key", "-out", authority],
        [*new, "/CN=cluster", *request],
        ["openssl", "x509", "-req", "-in", tmp_path / "own.csr", "-out", certificate, *signed_by],
    ):
        subprocess.run(command, check=True, capture_output=True)
    names = {"ca-file": str(authority)}
    for role in ("scheduler", "worker", "client"):
        names |= {f"{role}.cert": str(certificate), f"{role}.key": str(tmp_path / "own.key")}
    return names


def test_a_cluster_may_demand_certificates(machines, certificates):
    here = {f"distributed.comm.tls.{k}": v for k, v in certificates.items()}
    there = {
        "DASK_DISTRIBUTED__COMM__TLS__" + k.upper().replace("-", "_").replace(".", "__"): v
        for k, v in certificates.items()
    }
    with dask.config.set(here):
        secure = LocalCluster(
            n_workers=0,
            host="127.0.0.1",
            protocol="tls",
            dashboard_address="127.0.0.1:0",
            security=Security(require_encryption=True),
        )
    with secure:
        address = secure.scheduler_address
        assert address.startswith("tls://127.0.0.1")
        with pytest.raises(UserError, match=f"cannot connect to {address}: .* no certificate"):
            with cluster.connect(address):
                pass
        machines.start_workers(1, address, **there)
        with dask.config.set(here), cluster.connect(address) as client:
            assert client.submit(os.getpid).result(timeout=120) == machines.workers[-1].pid


def test_a_class_of_the_script_itself_cannot_travel(monkeypatch):
    work = NoisePass(network(), NOISE, block_images=BLOCK)
    monkeypatch.setattr(Halve, "__module__", "__main__")
    with pytest.raises(UserError, match="Halve is defined in the script itself.*move it"):
        worker.upload(work)


def test_what_an_own_module_imports_travels_with_it(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    package = tmp_path / "carried"
    package.mkdir()
    (package / "deep.py").write_text("import carried_beside, numpy\nfrom . import near\n")
    (package / "near.py").write_text("def lazy():\n    from .never import loaded\n")
    (tmp_path / "carried_beside.py").write_text("x = 1\n")
    importlib.import_module("carried.deep")
    files = set(worker.read_sources(["carried.deep"]))
    assert {name for name in files if name.startswith("carried")} == {
        "carried/__init__.py",
        "carried/deep.py",
        "carried/near.py",
        "carried_beside.py",
    }
    assert {name.split("/")[0] for name in files} <= {
        "carried",
        "carried_beside.py",
        "reverse_correlation",
    }


class Nothing(WorkerPlugin):
    """Stands in for what travels."""

    name = "nothing"


def counting_task(name):
    """Stands in for `task_of`: the sums of a shard are its index and its images."""

    def task(first, level, images=None):
        time.sleep(0.5 if first == 5 else 0)  # others are done before the first
        shards = sum(range(first, first + 8**level))
        return {"all": {"n": np.array(shards), "images": np.array(images or 0)}}, 1e-3

    return task


def test_however_long_the_pass_few_tasks_and_few_sums_are_in_flight(monkeypatch):
    monkeypatch.setattr(cluster, "upload", lambda work: Nothing())
    monkeypatch.setattr(cluster, "task_of", counting_task)
    shards, shown, tasks, levels = 20_000, [], [], []
    bar = SimpleNamespace(update=shown.append, set_description_str=lambda *_, **__: None)
    work, tree, last = SimpleNamespace(name="small", shard_images=10), SumTree(done=5), None
    local = LocalCluster(4, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0")
    with local, local.get_client() as client:
        for sums, level in cluster.sums_on(client, work, 5, shards, 3, bar):
            tasks.append(len(local.scheduler.tasks))
            levels.append(level)
            if level is None:
                last = sums["all"]
            else:
                tree.add(sums, level)
    assert tree.done == shards and tree.total()["all"]["n"] == sum(range(5, shards))
    assert last == {"n": shards, "images": 3} and levels.pop() is None
    assert sum(shown) == 10 * (shards - 5) + 3
    assert set(levels) == {0, 1, 2, 3} and len(levels) < 200
    assert max(tasks) <= cluster.AHEAD * 4


@pytest.mark.parametrize("workers", [1, 3, 1000])
@pytest.mark.parametrize("seconds", [0.001, 1, 100, float("inf")])
def test_tasks_are_aligned_and_short_and_leave_every_worker_some(workers, seconds):
    first, whole = 13, 13 + 60_000
    while first < whole:
        size = 8 ** cluster.level_of_task(first, whole, workers, seconds, 0.02)
        assert first % size == 0 and first + size <= whole
        some_each = (whole - first) / size >= 2 * workers and size * seconds <= 60
        assert size == 1 or some_each or size / 8 * seconds < 0.02 * workers
        first += size
    assert first == whole


@pytest.mark.parametrize("workers", [1, 1000])
def test_tasks_grow_with_what_is_left_and_with_the_workers(workers):
    levels = [cluster.level_of_task(0, 10 * 8**n, workers, 0.1, 0.02) for n in range(6)]
    assert levels == {1: [0, 1, 2, 3, 3, 3], 1000: [1, 2, 3, 3, 3, 3]}[workers]


@pytest.mark.parametrize("address", ["local:0", "local:two", "local:", "smoke://host:8786"])
def test_an_address_that_is_none_is_refused(address):
    with pytest.raises(UserError, match="from 1 up, not|is not the address of a scheduler"):
        with cluster.connect(address):
            pass


def test_where_nobody_answers_that_is_said(monkeypatch):
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 0.5)
    with pytest.raises(
        UserError, match="no Dask scheduler answers at tcp://127.0.0.1:1: start one"
    ):
        with cluster.connect("tcp://127.0.0.1:1"):
            pass
