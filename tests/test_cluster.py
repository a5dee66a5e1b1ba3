"""The pass on a Dask cluster of real processes, which die at the worst moments."""

import contextlib
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
import psutil
import pytest
from distributed import LocalCluster, Security
from own_layer import Halve
from test_resume import same_bits, shards_in

import cluster
import main
import reverse_correlation
from lenet import LeNet
from noise import GaborNoise, WhiteNoise
from reverse_correlation import Measurement, Shards, SumTree, measure

ROOT = Path(cluster.__file__).parent
NOISE = WhiteNoise(shape=(10, 9, 1))
SHARD = 400  # images, with blocks of 50
COUNT = 150 * SHARD + 30
PATHS = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
ONE_THREAD = {"TF_NUM_INTRAOP_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}


def network():
    keras.utils.set_random_seed(0)
    images = keras.Input(NOISE.shape)
    x = keras.layers.Conv2D(3, 3, activation="relu", name="conv")(images)
    x = keras.layers.Dense(4, name="logits")(keras.layers.Flatten()(Halve()(x)))
    return keras.Model(images, keras.layers.Softmax()(x), name="small")


def small_blocks():
    """Make shards small here and in the text that workers get; there, finish them out of order.

    Each worker leaves a file named after its process where it runs, to be counted.
    """
    reverse_correlation.BLOCK_IMAGES, reverse_correlation.SAVE_SECONDS = SHARD // 8, 0
    read, start = (
        cluster.read_sources,
        "        images = self.images if images is None else images\n",
    )
    own = "        time.sleep(index * 7 % 5 / 100); open(f'{os.getpid()}.pid', 'w').close()\n"

    def altered(modules):
        sources = read(modules)
        text = sources["reverse_correlation"]
        text = text.replace("BLOCK_IMAGES = 1000", f"BLOCK_IMAGES = {SHARD // 8}")
        assert start in text and f"= {SHARD // 8}" in text
        return {**sources, "reverse_correlation": text.replace(start, start + own)}

    cluster.read_sources = altered


@pytest.fixture(autouse=True)
def restored(monkeypatch):
    for module, name in [
        (reverse_correlation, "BLOCK_IMAGES"),
        (reverse_correlation, "SAVE_SECONDS"),
        (cluster, "read_sources"),
    ]:
        monkeypatch.setattr(module, name, getattr(module, name))
    small_blocks()


def run(client=None, count=COUNT, model=None, **kwargs):
    model = model or network()
    return measure(model, NOISE, count, layers=["conv"], progress=False, client=client, **kwargs)


class Machines:
    """A scheduler and workers, each a process, in a folder without the repository's modules."""

    def __init__(self, folder):
        self.folder, self.workers, self.processes = folder, [], []
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{self.port}"
        self.start_scheduler()

    def _dask(self, *arguments, **more):
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        log = open(self.folder / "log.txt", "ab")  # noqa: SIM115 (the process owns it)
        process = subprocess.Popen(
            [sys.executable, "-m", "dask", *arguments],
            cwd=self.folder,
            env={**environment, **ONE_THREAD, **more},
            stdout=log,
            stderr=log,
        )
        self.processes.append(process)
        return process

    def start_scheduler(self):
        self.scheduler = self._dask(
            "scheduler",
            "--host",
            "127.0.0.1",
            "--port",
            str(self.port),
            "--dashboard-address",
            "127.0.0.1:0",
        )

    def start_workers(self, number=1, address=None, **more):
        flags = ["--nthreads", "1", "--no-nanny", "--no-dashboard", "--local-directory", "."]
        for _ in range(number):
            self.workers.append(self._dask("worker", address or self.address, *flags, **more))

    def kill_workers(self, number=None):
        for worker in [self.workers.pop(0) for _ in range(number or len(self.workers))]:
            worker.send_signal(signal.SIGKILL)
            worker.wait()

    def took_part(self):
        """Return how many of the workers computed something since this was last asked."""
        found = {int(path.stem) for path in self.folder.glob("*.pid")}
        for path in self.folder.glob("*.pid"):
            path.unlink()
        return len(found & {worker.pid for worker in self.workers})

    def stop(self):
        for process in self.processes:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def machines(tmp_path_factory):
    machines = Machines(tmp_path_factory.mktemp("machines"))
    machines.start_workers()
    yield machines
    machines.stop()


REFERENCE = """
import sys, test_cluster
test_cluster.small_blocks()
test_cluster.run().save(sys.argv[1])
"""


@pytest.fixture(scope="module")
def reference(machines, tmp_path_factory):
    """The pass in one process, with as many threads as each worker has: one."""
    path = tmp_path_factory.mktemp("reference") / "sums.npz"
    environment = {**os.environ, **ONE_THREAD, "PYTHONPATH": PATHS}
    subprocess.run([sys.executable, "-c", REFERENCE, path], env=environment, check=True)
    return Measurement.load(path)


def wait_for(client, workers):
    client.wait_for_workers(workers, timeout=60)


def test_one_two_and_four_workers_give_the_bits_of_one_process(machines, reference):
    with cluster.connect(machines.address) as client:
        for more in (0, 1, 2):
            machines.start_workers(more)
            wait_for(client, len(machines.workers))
            assert same_bits(run(client), reference)
            assert machines.took_part() == len(machines.workers)


def test_noise_made_of_arrays_travels(machines):
    rng = np.random.default_rng(0)
    mean, components = rng.random(NOISE.shape), rng.normal(size=(5, *NOISE.shape))
    noise = GaborNoise(mean, components, np.linspace(1, 2, 5))
    with cluster.connect(machines.address) as client:
        there, here = (
            measure(network(), noise, 3 * SHARD + 7, progress=False, client=where)
            for where in (client, None)
        )
    assert there.provenance == here.provenance and machines.took_part()
    for kind, estimate in there.classes.items():
        assert np.allclose(estimate.covariance, here.classes[kind].covariance, atol=1e-6)


def test_workers_killed_at_work_lose_nothing_and_new_ones_take_over(
    machines, reference, monkeypatch
):
    listen, heard = cluster.Pieces.listen, []

    def kill(pieces):
        listen(pieces)
        heard.append(len(machines.workers))
        if len(heard) == 3:
            machines.kill_workers(1)
        if len(heard) == 8:
            machines.kill_workers()
            machines.start_workers()

    monkeypatch.setattr(cluster.Pieces, "listen", kill)
    with cluster.connect(machines.address) as client:
        assert same_bits(run(client), reference)
    assert heard[0] == 4 and 3 in heard and machines.took_part() == 1


CLIENT = """
import sys, main
main.import_tensorflow_quietly()
import test_cluster, cluster
test_cluster.small_blocks()
def run(args):
    with cluster.connect(args.scheduler) as client:
        print("connected", flush=True)
        test_cluster.run(client, count=args.noise_images, checkpoint=args.out / "sums.npz")
main.main = run
sys.exit(main.run())
"""


def start_client(address, out, count=COUNT):
    flags = ["--scheduler", address, "--out", str(out), "--noise-images", str(count)]
    return subprocess.Popen(
        [sys.executable, "-c", CLIENT, *flags],
        cwd=out,
        env={**os.environ, **ONE_THREAD, "PYTHONPATH": PATHS},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_until(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_killed_client_and_a_killed_scheduler_leave_a_checkpoint_that_is_continued(
    machines, reference, tmp_path
):
    checkpoint = tmp_path / "sums.npz"
    client = start_client(machines.address, tmp_path)
    wait_until(lambda: shards_in(checkpoint))
    client.kill()
    client.communicate()
    saved = shards_in(checkpoint)
    assert 0 < saved < 150

    client = start_client(machines.address, tmp_path)
    wait_until(lambda: shards_in(checkpoint) > saved)
    machines.scheduler.kill()
    said, complaint = client.communicate(timeout=60)
    assert client.returncode == 2 and "continuing from" in said
    assert complaint.startswith(f"main.py: the Dask scheduler at {machines.address} is gone")
    assert complaint.count("\n") == 1
    assert saved < shards_in(checkpoint) < 150

    machines.kill_workers()
    machines.start_scheduler()
    machines.start_workers()
    with cluster.connect(machines.address) as client:
        assert same_bits(run(client, checkpoint=checkpoint), reference)


def test_a_network_that_answers_nan_on_a_worker_is_refused_with_its_name(machines, monkeypatch):
    monkeypatch.setattr(reverse_correlation, "look_first", lambda work: [])
    damaged = network()
    damaged.get_layer("logits").bias.assign([np.nan, 0, 0, 0])
    with cluster.connect(machines.address) as client:
        with pytest.raises(ValueError, match="the worker tcp://127.* stopped: .*answers NaN"):
            run(client, model=damaged)


def test_no_workers_are_waited_for_and_one_without_a_package_is_named(
    machines, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(cluster, "PATIENCE_SECONDS", 0.5)
    (tmp_path / "scipy.py").write_text("raise ImportError('No module named scipy', name='scipy')")
    say = cluster.Workers.look

    def look(workers):
        say(workers)
        if "waiting" in capsys.readouterr().err:
            machines.start_workers(1, empty.scheduler_address, PYTHONPATH=str(tmp_path))

    monkeypatch.setattr(cluster.Workers, "look", look)
    with LocalCluster(n_workers=0, host="127.0.0.1", dashboard_address="127.0.0.1:0") as empty:
        with cluster.connect(empty.scheduler_address) as client:
            with pytest.raises(ValueError, match="the worker tcp://.* lacks the package scipy: "):
                run(client)


def test_another_version_of_keras_on_a_worker_is_named(tmp_path):
    plugin = cluster.Pass(network(), Shards(network(), NOISE))
    plugin.setup(
        SimpleNamespace(
            address="tcp://there:1", local_directory=tmp_path, state=SimpleNamespace(nthreads=1)
        )
    )
    plugin.identity = {**plugin.identity, "versions": {**plugin.identity["versions"], "keras": "1"}}
    with pytest.raises(
        ValueError, match=r"worker tcp://there:1 stopped: it has keras 3\..* pass 1"
    ):
        plugin.sums(0, 0)


def test_a_worker_lets_go_of_the_modules_of_an_earlier_pass(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    for number in ("1", "2"):
        sources = {"travelled_a": "from travelled_b import x", "travelled_b": f"x = {number}"}
        cluster.import_sources(sources, tmp_path / number)
        assert importlib.import_module("travelled_a").x == int(number)


def test_a_class_of_the_script_itself_cannot_travel(monkeypatch):
    monkeypatch.setattr(Halve, "__module__", "__main__")
    with pytest.raises(ValueError, match="Halve is defined in the script itself.*move it"):
        cluster.Pass(network(), Shards(network(), NOISE))


def test_local_workers_are_pinned_listen_on_loopback_and_leave_quietly_on_ctrl_c(tmp_path):
    client = start_client("local:2", tmp_path, count=10**9)
    assert client.stdout.readline() == "connected\n"
    workers = [
        process
        for process in psutil.Process(client.pid).children(recursive=True)
        if "spawn_main" in " ".join(process.cmdline())
    ]
    assert len(workers) == 2
    cores = [worker.cpu_affinity() for worker in workers]
    assert len(cores[0]) == max(1, len(os.sched_getaffinity(0)) // 2)
    assert cores[0] != cores[1] or len(os.sched_getaffinity(0)) == 1
    for process in (psutil.Process(client.pid), *workers):
        listening = [c for c in process.net_connections() if c.status == psutil.CONN_LISTEN]
        assert listening and {c.laddr.ip for c in listening} == {"127.0.0.1"}
    wait_until(lambda: shards_in(tmp_path / "sums.npz"))
    os.killpg(client.pid, signal.SIGINT)  # as a terminal does, to all of them
    _, said = client.communicate(timeout=60)
    assert client.returncode == 130 and "Traceback" not in said
    assert said == "\nmain.py: stopped; the same command continues from here\n"
    assert not psutil.wait_procs(workers, timeout=20)[1]


@pytest.fixture
def certificates(tmp_path):
    """An authority, and a certificate for scheduler, worker and client alike, by openssl."""
    ca, own = tmp_path / "ca.pem", tmp_path / "own.pem"
    new = ["openssl", "req", "-newkey", "rsa:2048", "-nodes", "-subj"]
    subject = ["-keyout", tmp_path / "ca.key", "-out", ca]
    for command in (
        [*new, "/CN=authority", "-x509", "-days", "2", *subject],
        [*new, "/CN=cluster", "-keyout", tmp_path / "own.key", "-out", tmp_path / "own.csr"],
        ["openssl", "x509", "-req", "-days", "2", "-in", tmp_path / "own.csr", "-out", own]
        + ["-CA", ca, "-CAkey", tmp_path / "ca.key", "-CAcreateserial"],
    ):
        subprocess.run(command, check=True, capture_output=True)
    names = {"ca-file": str(ca)}
    for role in ("scheduler", "worker", "client"):
        names |= {f"{role}.cert": str(own), f"{role}.key": str(tmp_path / "own.key")}
    return names


def test_a_cluster_may_demand_certificates(machines, certificates):
    here = {f"distributed.comm.tls.{k}": v for k, v in certificates.items()}
    there = {
        "DASK_DISTRIBUTED__COMM__TLS__" + k.upper().replace("-", "_").replace(".", "__"): v
        for k, v in certificates.items()
    }
    with contextlib.ExitStack() as stack:
        with dask.config.set(here):
            secure = stack.enter_context(
                LocalCluster(
                    n_workers=0,
                    host="127.0.0.1",
                    protocol="tls",
                    dashboard_address="127.0.0.1:0",
                    security=Security(require_encryption=True),
                )
            )
        address = secure.scheduler_address
        assert address.startswith("tls://127.0.0.1")
        with pytest.raises((ValueError, OSError), match=f"connect to {address}|no Dask scheduler"):
            stack.enter_context(cluster.connect(address))
        machines.start_workers(1, address, **there)
        with dask.config.set(here), cluster.connect(address) as client:
            assert run(client, count=3 * SHARD).count == 3 * SHARD


def test_main_hands_the_client_to_the_pass(monkeypatch, tmp_path):
    def refuse(*args, client, **kwargs):
        raise ValueError(f"measured by {client}")

    monkeypatch.setattr(reverse_correlation, "measure", refuse)
    args = main.parse_arguments(["--out", str(tmp_path)])
    subject = main.trained_network("lenet", LeNet(), None, args)
    with pytest.raises(ValueError, match="measured by many"):
        main.measure_network(subject, args, "many")


class Counting(cluster.WorkerPlugin):
    """Stands in for `Pass`: the sums of a shard are its index and its images."""

    name = "counting"

    def __init__(self, model, work):
        pass

    def sums(self, first, level, images=None):
        return {"all": {"n": sum(range(first, first + 8**level)), "images": images or 0}}

    add = staticmethod(cluster.added)


@pytest.mark.parametrize("shards", [300, 4000])
def test_however_long_the_pass_few_tasks_are_in_flight_and_few_sums_reach_the_client(
    shards, monkeypatch
):
    monkeypatch.setattr(cluster, "Pass", Counting)
    work, bar = SimpleNamespace(name="small", images=10), []
    progress = SimpleNamespace(update=bar.append, set_description_str=lambda *_, **__: None)
    tree, taken, tasks = SumTree(), 0, []
    with LocalCluster(
        4, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0"
    ) as few:
        with few.get_client() as client:
            for sums, level in cluster.sums_on(client, None, work, 5, shards, 3, progress):
                tasks.append(len(few.scheduler.tasks))
                if level is None:
                    assert sums == {"all": {"n": shards, "images": 3}}
                    break
                if not taken:
                    tree = SumTree(done=5)
                tree.add(sums, level)
                taken += 1
    assert tree.done == shards and tree.total()["all"]["n"] == sum(range(5, shards))
    assert max(tasks) < 300 and taken < shards / 64 + 40


@pytest.mark.parametrize("workers", [1, 3, 1000])
def test_pieces_are_aligned_and_cover_every_shard_once(workers):
    first, whole, tasks = 13, 13 + 300_000, 0
    while first < whole:
        level, low = cluster.size_of_piece(first, whole, workers)
        assert first % 8**level == 0 and low <= min(level, 1)
        assert 8 ** (level - low) < 16 * workers
        first, tasks = first + 8**level, tasks + 8 ** (level - low)
    assert first == whole


@pytest.mark.parametrize("address", ["local:0", "local:two", "local:", "smoke://host:8786"])
def test_an_address_that_is_none_is_refused(address):
    with pytest.raises(ValueError, match="from 1 up, not|is no scheduler"):
        with cluster.connect(address):
            pass


def test_where_nobody_answers_that_is_said(monkeypatch):
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 0.5)
    with pytest.raises(OSError, match="no Dask scheduler answers at tcp://127.0.0.1:1: start one"):
        with cluster.connect("tcp://127.0.0.1:1"):
            pass
