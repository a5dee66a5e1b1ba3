"""The same pass of noise on a Dask cluster: shards are tasks, their sums are added on the workers.

    with connect("tcp://host:8786") as client:  # or "local:4": four processes on this machine
        measurement = measure(network, WhiteNoise(), 10**9, client=client)

A worker needs the packages of requirements.txt and nothing else: a plugin brings it the modules,
as text, and the network, as the bytes of a `.keras` file, once. A task computes one shard, or eight
in a row; further tasks add eight groups of one size to one of the next, in the order of SumTree,
until one set of sums is left of a piece large enough to keep every worker busy. The client receives
pieces in order, and adds them.
"""

import asyncio
import collections
import contextlib
import dataclasses
import hashlib
import importlib
import inspect
import json
import logging
import os
import queue
import signal
import sys
import sysconfig
import tempfile
import threading
import time
import uuid
import warnings
import zipfile
from concurrent.futures import CancelledError
from pathlib import Path

import cloudpickle
from distributed import Client, KilledWorker, LocalCluster, Security, WorkerPlugin, get_worker

CONNECT_SECONDS = 30
ASK_SECONDS = 5  # between two counts of the workers
PATIENCE_SECONDS = 60  # without any worker, before that is said
GROUP = 8  # as in SumTree
QUEUED = 2  # tasks for each worker that are in flight at least
MOST_PIECES = 64  # whose sums may wait on workers for an earlier piece
LONG = 32  # shards for each worker; while so many are left, a task is eight of them

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers do not have this module


# --------------------------------------------------------------------------- the cluster


@contextlib.contextmanager
def connect(address):
    """Yield a Dask client of the cluster at an address; None for no address.

    Args:
        address: "tcp://host:8786" or "tls://host:8786" of a running scheduler (certificates come
            from Dask's own configuration), or "local:N": N processes on this machine, reached by
            loopback alone, each pinned to its share of the cores.

    Raises:
        ValueError: if the address is none.
        OSError: if no scheduler answers there.
    """
    if not address:
        yield None
        return
    if not address.startswith(("local:", "tcp://", "tls://")):
        raise ValueError(
            f"{address!r} is no scheduler: name tcp://host:8786, tls://host:8786 or local:2"
        )
    certificates = Security().get_connection_args("client")["ssl_context"]
    if address.startswith("tls://") and certificates is None:
        raise ValueError(
            f"cannot connect to {address}: this process has no certificate; tell Dask by "
            "distributed.comm.tls.ca-file, .client.cert and .client.key"
        )
    _silence()
    with contextlib.ExitStack() as stack:
        pin = None
        if address.startswith("local:"):
            pin, cluster = _local(address)
            address = stack.enter_context(cluster).scheduler_address
        try:
            client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
        except OSError as error:
            raise OSError(
                f"no Dask scheduler answers at {address}: start one by `dask scheduler`, or let "
                "--scheduler local:2 start two workers on this machine"
            ) from error
        try:
            if pin:
                client.register_plugin(pin, name="white-noise-pin")
            yield client
        finally:
            with contextlib.suppress(Exception):  # the scheduler may be gone
                client.close(timeout=5)


def _silence():
    """Keep Dask's own log off the screen; what matters is said in sentences."""
    for name in ("distributed", "tornado", *logging.root.manager.loggerDict):
        logger = logging.getLogger(name)
        if name.partition(".")[0] in ("distributed", "tornado") and logger.level:
            logger.setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", category=UserWarning, module="distributed")


def _local(address):
    """Start worker processes on this machine; return their Pin, and their cluster."""
    number = address.removeprefix("local:")
    if not number.isdecimal() or int(number) < 1:
        raise ValueError(f"local:N takes a number of processes from 1 up, not {number!r}")
    workers, cores = int(number), list(range(os.cpu_count() or 1))
    if hasattr(os, "sched_getaffinity"):
        cores = sorted(os.sched_getaffinity(0))
    share = max(1, len(cores) // workers)
    shares = [[cores[(i * share + j) % len(cores)] for j in range(share)] for i in range(workers)]
    cluster = LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",  # of the health page; None would be port 8787
        memory_limit=0,
        silence_logs=logging.CRITICAL,
        env={"TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    return Pin(shares), cluster


class Pin(WorkerPlugin):
    """Give each worker process of this machine its share of the cores, and of the threads."""

    def __init__(self, shares):
        self.shares = shares

    def setup(self, worker):
        """Pin the process before TensorFlow counts its cores, and leave Ctrl-C to the client."""
        share = self.shares[int(worker.name) % len(self.shares)]
        os.environ["TF_NUM_INTRAOP_THREADS"] = str(len(share))
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if hasattr(os, "sched_setaffinity"):
            for thread in os.listdir("/proc/self/task"):
                os.sched_setaffinity(int(thread), share)
        stderr = os.dup(2)
        with open(os.devnull, "wb") as null:  # TensorFlow greets before it can be told not to
            os.dup2(null.fileno(), 2)
        with contextlib.suppress(ImportError):  # said by the first task
            importlib.import_module("tensorflow").config.list_physical_devices()
        os.dup2(stderr, 2)
        os.close(stderr)


class Workers:
    """The workers of a cluster, counted every few seconds."""

    def __init__(self, client):
        self.client, self.known, self.count = client, set(), 0
        self.asked, self.seen = -ASK_SECONDS, time.monotonic()

    def look(self):
        """Count them; say so where there have been none for a minute.

        Raises:
            ValueError: if one has another version of Python, whose functions are other bytes.
            OSError: if the scheduler does not answer.
        """
        if self.client.status != "running":
            raise ConnectionError
        now = time.monotonic()
        if now - self.asked < (ASK_SECONDS if self.count else 0.5):
            return
        self.asked = now
        found = set(self.client.nthreads())
        self.count = len(found)
        if found - self.known:
            self._compare_python()
        self.known = found
        if found:
            self.seen = now
        elif now - self.seen > PATIENCE_SECONDS:
            self.seen = now
            address = self.client.scheduler.address
            print(
                f"no workers at {address} yet: waiting; start some by `dask worker {address}`, or "
                "stop by Ctrl-C",
                file=sys.stderr,
            )

    def wait(self):
        """Wait for the first."""
        while not self.count:
            self.look()
            time.sleep(0 if self.count else 0.1)

    def _compare_python(self):
        versions = self.client.get_versions()
        others = {"the scheduler": versions["scheduler"]}
        others |= {f"the worker {name}": found for name, found in versions["workers"].items()}
        own = f"{sys.version_info.major}.{sys.version_info.minor}"
        for who, found in others.items():
            python = ".".join(found["host"]["python"].split(".")[:2]) if found else own
            if python != own:
                raise ValueError(f"{who} runs Python {python}, and this process {own}: use one")


# --------------------------------------------------------------------------- what a worker has


class Pass(WorkerPlugin):
    """All that a worker needs of one pass; the scheduler hands it to those that join later too.

    Receiving it needs nothing but Dask: modules travel as text, the noise as the values of its
    fields. Noise and network are built by the first task, so that whatever is wrong with a worker
    is the error of a task.
    """

    idempotent = True  # a client that was killed and started again finds its network built

    def __init__(self, model, work):
        from networks import as_graph

        self.identity = work.identity
        self.settings = {
            "seed": work.seed,
            "layers": tuple(work.identity["layers"]),
            "precision": work.identity["precision"],
        }
        self.network, classes = _packed(as_graph(model, work.noise.shape))
        self.modules = ["reverse_correlation", *_modules([type(work.noise), *classes])]
        self.sources = read_sources(self.modules)
        kind = type(work.noise)
        if not dataclasses.is_dataclass(kind):
            raise ValueError(f"{kind.__name__} cannot travel to workers: make it a dataclass")
        self.noise = {f.name: getattr(work.noise, f.name) for f in dataclasses.fields(kind)}
        self.noise_class = kind.__module__, kind.__name__
        told = json.dumps([self.identity, self.sources], sort_keys=True)
        self.name = f"white-noise-{hashlib.sha256(told.encode()).hexdigest()[:16]}"

    def setup(self, worker):
        """Remember where this is."""
        self.address, self.threads = worker.address, worker.state.nthreads
        self.folder = Path(worker.local_directory) / self.name
        self.lock, self.shards = threading.Lock(), None

    def sums(self, first, level, images=None):
        """Return the sums of the 8**level shards from `first` on, or of some images of one.

        Raises:
            ValueError: a sentence that names the worker, whatever went wrong.
        """
        with self.lock:  # one shard at a time, with all of the worker's threads
            try:
                self.shards = self.shards or self.build()
                if images:
                    return self.shards.sums(first, images)
                shards = range(first, first + GROUP**level)
                return added((self.shards.sums(index) for index in shards), 0)
            except ImportError as error:
                reason = f"lacks the package {error.name or error}: install requirements.txt there"
            except ValueError as error:
                reason = f"stopped: {error}"
            except Exception as error:  # of any library; its traceback is in the worker's log
                reason = f"failed: {type(error).__name__}: {str(error).strip()[:200]}"
        raise ValueError(f"the worker {self.address} {reason}")

    def add(self, parts, level):
        """Add eight sums, each of 8**level shards, in their order."""
        if self.shards is None:
            self.sums(0, 0, 1)  # a worker that has only just joined imports the modules
        return added(parts, level)

    def build(self):
        """Import the modules, load the network and compile the pass."""
        import keras
        import tensorflow as tf

        for name, module in (("tensorflow", tf), ("keras", keras)):
            wanted, found = self.identity["versions"][name], module.__version__
            if found != wanted:
                raise ValueError(f"it has {name} {found}, but this pass {wanted}: install that")
        threads = int(os.environ.get("TF_NUM_INTRAOP_THREADS", self.threads))
        with contextlib.suppress(RuntimeError):  # TensorFlow is at work here already
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(threads)
        import_sources(self.sources, self.folder)
        for name in self.modules:
            importlib.import_module(name)
        path = self.folder / "network.keras"
        path.write_bytes(self.network)
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
        module, kind = self.noise_class
        noise = getattr(sys.modules[module], kind)(**self.noise)
        shards = sys.modules["reverse_correlation"].Shards(model, noise, **self.settings)
        for key in shards.identity.keys() - {"network_sha256"}:  # tuples come back as lists
            if shards.identity[key] != self.identity[key]:
                raise ValueError(f"its {key} is {shards.identity[key]}, not {self.identity[key]}")
        return shards


def _packed(graph):
    """Return a flat network as the bytes of a `.keras` file, and the custom classes it needs."""
    import keras

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.keras"
        keras.Model(graph.inputs[0], graph.outputs[0], name=graph.name).save(path)
        with zipfile.ZipFile(path) as archive:
            config = archive.read("config.json").decode()
        registered = keras.saving.get_custom_objects().items()
        return path.read_bytes(), [found for name, found in registered if f'"{name}"' in config]


def _modules(objects):
    """Return the names of the modules that define classes or functions.

    Raises:
        ValueError: if one is defined in the script that is run, which cannot be imported.
    """
    for each in objects:
        if each.__module__ == "__main__":
            raise ValueError(
                f"{each.__name__} is defined in the script itself, which workers cannot import: "
                "move it to a module of its own beside the script"
            )
    return sorted({each.__module__ for each in objects})


def read_sources(modules):
    """Return the text of modules, and of those that they import, by name.

    Installed packages are left out, and so are modules inside packages: workers must have them.
    """
    sources, todo = {}, list(modules)
    while todo:
        name = todo.pop()
        file = getattr(sys.modules.get(name), "__file__", None)
        if name in sources or "." in name or not file or _is_installed(Path(file)):
            continue
        sources[name] = _text(name)
        for value in vars(sys.modules[name]).values():
            told = value.__name__ if inspect.ismodule(value) else getattr(value, "__module__", "")
            todo += [told] if isinstance(told, str) else []
    return sources


def _is_installed(file):
    """Say whether a module belongs to Python or to an installed package."""
    within = (sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"))
    packages = {"site-packages", "dist-packages"}
    return bool(packages & set(file.parts)) or str(file.resolve()).startswith(within)


def _text(name):
    """Return the text of an imported module; None where it has no file."""
    file = getattr(sys.modules[name], "__file__", None)
    return Path(file).read_text(encoding="utf-8") if file and Path(file).is_file() else None


def import_sources(sources, folder):
    """Make modules importable from their text, in place of others of the same names.

    If one is there already with another text, as of an earlier pass, all are imported anew.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(name in sys.modules and _text(name) != text for name, text in sources.items()):
        for name in sources:
            sys.modules.pop(name, None)
    for name, text in sources.items():
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()


def added(parts, level):
    """Add sums, each of 8**level shards, in their order, as everybody does."""
    tree = sys.modules["reverse_correlation"].SumTree()
    for sums in parts:
        tree.add(sums, level)
    return tree.total()


def _tasks(name):
    """Return the two kinds of task of the pass of that name.

    They are closures, so that they travel by value: the scheduler cannot import this module.
    """

    def shards(first, level, images=None):
        return get_worker().plugins[name].sums(first, level, images)

    def groups(parts, level):
        return get_worker().plugins[name].add(parts, level)

    return shards, groups


# --------------------------------------------------------------------------- the pass


class Pieces:
    """The pieces of a pass that are in flight, and how much of them is done."""

    def __init__(self, client, plugin, bar):
        self.client, self.bar = client, bar
        self.shards, self.groups = _tasks(plugin.name)
        self.roots, self.leaves = collections.deque(), {}
        self.events, self.sent = queue.SimpleQueue(), 0
        self.token = uuid.uuid4().hex  # or tasks of a killed client could be taken for these

    def send(self, first, level, low, images, rest=None):
        """Send the graph of one piece: 8**level shards, of which a task computes 8**low."""
        self.sent += 1
        graph, leaves = {}, []
        root = self._grow(graph, leaves, first, level, low, rest)
        futures = self.client.get(graph, [root, *leaves], sync=False, priority=-self.sent)
        self.roots.append((futures[0], level if rest is None else None))
        for future in futures[1:]:
            self.leaves[future.key] = future, images
        for future in futures:
            future.add_done_callback(self.events.put)

    def _grow(self, graph, leaves, first, level, low, rest):
        """Add the tasks of a piece to a graph; return the key of its sums."""
        if level <= low:
            key = (f"shards-{self.token}", first, level)
            graph[key] = (self.shards, first, level, rest)
            leaves.append(key)
            return key
        size, key = GROUP ** (level - 1), (f"groups-{self.token}", first, level)
        starts = range(first, first + GROUP * size, size)
        parts = [self._grow(graph, leaves, i, level - 1, low, rest) for i in starts]
        graph[key] = (self.groups, parts, level - 1)
        return key

    def wanted(self, workers):
        """Say whether the workers could run out of tasks."""
        return len(self.leaves) < QUEUED * max(1, workers) and len(self.roots) < MOST_PIECES

    def listen(self, seconds=1):
        """Wait a moment for a task to finish, and count its images.

        Raises:
            ValueError: what a task raised, or that workers died of it.
            ConnectionError: if the scheduler is gone.
        """
        with contextlib.suppress(queue.Empty):
            future = self.events.get(timeout=seconds)
            refuse_failure(future)
            _, images = self.leaves.pop(future.key, (None, 0))
            self.bar.update(images)

    def take(self):
        """Return the sums of the first piece and its level."""
        future, level = self.roots.popleft()
        return future.result(), level

    def cancel(self):
        """Call back whatever is still in flight."""
        self.client.cancel([future for future, _ in (*self.roots, *self.leaves.values())])


def refuse_failure(future):
    """Raise what went wrong with a future, if anything, in a sentence."""
    if future.status == "cancelled":
        raise ConnectionError
    if future.status == "error":
        error = future.exception()
        if isinstance(error, KilledWorker):
            raise ValueError(
                f"{error.allowed_failures + 1} workers died one after another at the same task, "
                f"the last of them {error.last_worker.address}: see its log; if it ran out of "
                "memory, start fewer workers a machine"
            )
        if isinstance(error, ValueError):
            raise error
        raise ValueError(f"a task failed: {type(error).__name__}: {str(error)[:200]}")


def sums_on(client, model, work, first, whole, rest, bar):
    """Compute shards on a cluster, and yield (sums, level) of groups of 8**level in their order.

    Args:
        client: as `connect` yields it.
        model, work: a network, and the Shards of the pass made from it.
        first, whole: shards `first` to `whole - 1` are wanted.
        rest: images of the shard after those; its sums come last, with the level None.
        bar: a progress bar of images, whose description gets the number of workers.

    Raises:
        ValueError: a sentence that names the worker where something is wrong.
        OSError: if the scheduler is gone.
    """
    address, plugin = client.scheduler.address, Pass(model, work)
    workers, pieces = Workers(client), Pieces(client, plugin, bar)
    try:
        workers.wait()
        client.register_plugin(plugin, name=plugin.name)
        while first < whole or rest or pieces.roots or pieces.leaves:
            workers.look()
            now = f"noise through {work.name}, workers: {workers.count}"
            bar.set_description_str(now, refresh=False)
            while first < whole and pieces.wanted(workers.count):
                level, low = size_of_piece(first, whole, workers.count)
                pieces.send(first, level, low, GROUP**low * work.images)
                first += GROUP**level
            if first == whole and rest:
                pieces.send(whole, 0, 0, rest, rest)
                rest = 0
            if pieces.roots and pieces.roots[0][0].status == "finished":
                yield pieces.take()
            else:
                pieces.listen()
    except (OSError, CancelledError, asyncio.TimeoutError) as error:
        raise OSError(
            f"the Dask scheduler at {address} is gone: start it again, and the same command "
            "continues from what was saved"
        ) from error
    finally:
        with contextlib.suppress(Exception):  # the scheduler may be gone
            if client.status == "running":
                pieces.cancel()
                client.unregister_worker_plugin(plugin.name)


def size_of_piece(first, whole, workers):
    """Return the level of the next piece, and of its tasks: (level, low).

    A piece is aligned, and holds two tasks or more for each worker, where so much is left.
    """
    workers = max(1, workers)
    low = 1 if whole - first >= LONG * workers else 0
    level = low
    while GROUP ** (level - low) < QUEUED * workers:
        level += 1
    while first % GROUP**level or first + GROUP**level > whole:
        level -= 1
    return level, min(level, low)
