"""The same pass on a Dask cluster: a task computes consecutive shards and adds up their sums.

    with connect("tcp://host:8786") as client:  # or "local:4": four processes on this machine
        measurement = measure(network, WhiteNoise(), 10**9, client=client)

A task returns one set of sums, of 1, 8, 64 or 512 shards. The client takes them in order, as if
they had been computed here. Workers are sent everything they need; see `worker.py`.

This module does not import TensorFlow at the top, since a worker on this machine has to be pinned
to its cores first.
"""

import asyncio
import collections
import contextlib
import logging
import math
import os
import queue
import signal
import sys
import time
import types
import warnings
from concurrent.futures import CancelledError

from distributed import Client, KilledWorker, LocalCluster, Security, WorkerPlugin

from reverse_correlation.backend import import_quietly
from reverse_correlation.errors import FileError, UserError
from reverse_correlation.passes.shards import GROUP, decision_level
from reverse_correlation.passes.worker import task_of, upload

CONNECT_SECONDS = 30
ASK_SECONDS = 5  # between two counts of the workers
LISTEN_SECONDS = 0.5  # how long to wait for a task before looking at the workers again
PATIENCE_SECONDS = 60  # how long there may be no worker before a message says so
QUEUED = 2  # unfinished tasks per worker at most: enough that no worker waits for the client
AHEAD = 8  # tasks per worker sent at most while an earlier one is unfinished
TASKS_EACH = 2  # tasks per worker that should be left; else tasks get smaller, to end together
TASK_SECONDS = 60  # duration of a task of several shards at most, which a crash would lose
SET_SECONDS = 0.005  # approximate cost of a set of sums to scheduler and client, whatever its size
BYTES_A_SECOND = 1e8  # speed at which sums travel through scheduler and client
MOST_LEVEL = 3  # a task is at most 8**3 shards


@contextlib.contextmanager
def connect(address):
    """Yield a Dask client of the cluster at an address; None without an address.

    Args:
        address: "tcp://host:8786" or "tls://host:8786" of a running scheduler (certificates come
            from Dask's own configuration), or "local:N": N processes on this machine, reachable
            only by loopback, each pinned to its share of the cores.

    Raises:
        UserError: if the address is not valid, or needs a certificate that is not there.
        FileError: if no scheduler answers there.
    """
    if not address:
        yield None
        return
    _check_address(address)
    _silence()
    with contextlib.ExitStack() as stack:
        pin = None
        if address.startswith("local:"):
            pin, cluster = _local(address)
            address = stack.enter_context(cluster).scheduler_address
        try:
            client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
        except OSError as error:
            raise FileError(
                f"no Dask scheduler answers at {address}: start one with `dask scheduler`, or let "
                "--scheduler local:2 start two workers on this machine"
            ) from error
        try:
            if pin:
                client.register_plugin(pin, name="reverse-correlation-pin")
            yield client
        finally:
            with contextlib.suppress(Exception):  # the scheduler may be gone
                client.close(timeout=5)


def _check_address(address):
    """Raise UserError if an address is not valid, or needs a certificate that is not there."""
    if not address.startswith(("local:", "tcp://", "tls://")):
        raise UserError(
            f"{address!r} is not the address of a scheduler: give tcp://host:8786, "
            "tls://host:8786 or local:2"
        )
    certificate = Security().get_connection_args("client")["ssl_context"]
    if address.startswith("tls://") and certificate is None:
        raise UserError(
            f"cannot connect to {address}: this process has no certificate; set Dask's "
            "distributed.comm.tls.ca-file, .client.cert and .client.key"
        )


def _silence():
    """Keep Dask's own log off the screen; this module reports what matters itself."""
    for name in ("distributed", "tornado", *logging.root.manager.loggerDict):
        logger = logging.getLogger(name)
        if name.partition(".")[0] in ("distributed", "tornado") and logger.level:
            logger.setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", category=UserWarning, module="distributed")


def _local(address):
    """Start worker processes on this machine; return their Pin and their cluster."""
    number = address.removeprefix("local:")
    if not number.isdecimal() or int(number) < 1:
        raise UserError(f"in local:N, N must be a number of processes from 1 up, not {number!r}")
    workers, cores = int(number), list(range(os.cpu_count() or 1))
    if hasattr(os, "sched_getaffinity"):
        cores = sorted(os.sched_getaffinity(0))
    share = max(1, len(cores) // workers)
    shares = [[cores[(i * share + j) % len(cores)] for j in range(share)] for i in range(workers)]
    with _script_hidden():
        cluster = LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",  # any free port; None would mean port 8787
            memory_limit=0,
            silence_logs=logging.CRITICAL,
            env={"TF_CPP_MIN_LOG_LEVEL": "3"},
        )
    return Pin(shares), cluster


@contextlib.contextmanager
def _script_hidden():
    """Keep new processes from importing the script that is run, which may import TensorFlow."""
    script = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = script


class Pin(WorkerPlugin):
    """Give each worker process on this machine its share of the cores and as many threads."""

    def __init__(self, shares):
        self.shares = shares

    def setup(self, worker):
        """Pin the process before TensorFlow counts its cores, and leave Ctrl-C to the client."""
        share = self.shares[int(worker.name) % len(self.shares)]
        os.environ["TF_NUM_INTRAOP_THREADS"] = os.environ["OMP_NUM_THREADS"] = str(len(share))
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if hasattr(os, "sched_setaffinity"):
            for thread in os.listdir("/proc/self/task"):
                os.sched_setaffinity(int(thread), share)
        with contextlib.suppress(ImportError):  # the first task will report it
            import_quietly()


class Workers:
    """The workers of a cluster, counted every few seconds."""

    def __init__(self, client):
        self.client, self.names, self.count = client, set(), 0
        self.asked, self.seen = -ASK_SECONDS, time.monotonic()

    def look(self):
        """Count the workers; print a message if there have been none for a minute.

        Raises:
            UserError: if one has another version of Python, which cannot read pickled functions.
            OSError: if the scheduler does not answer.
        """
        if self.client.status != "running":
            raise ConnectionError
        now = time.monotonic()
        if now - self.asked < (ASK_SECONDS if self.count else 0.5):
            return
        self.asked = now
        names = set(self.client.nthreads())
        if names - self.names:
            self._compare_python()
        self.names, self.count = names, len(names)
        if names:
            self.seen = now
        elif now - self.seen > PATIENCE_SECONDS:
            self.seen = now
            address = self.client.scheduler.address
            print(
                f"no workers at {address} yet: waiting; start some with `dask worker {address}`, "
                "or stop with Ctrl-C",
                file=sys.stderr,
            )

    def _compare_python(self):
        found = self.client.get_versions()
        others = {"the scheduler": found["scheduler"]}
        others |= {f"the worker {name}": versions for name, versions in found["workers"].items()}
        here = f"{sys.version_info.major}.{sys.version_info.minor}"
        for who, versions in others.items():
            python = ".".join(versions["host"]["python"].split(".")[:2]) if versions else here
            if python != here:
                raise UserError(
                    f"{who} runs Python {python}, but this process runs {here}: use the same "
                    "version everywhere"
                )


class Tasks:
    """The tasks of a pass whose sums have not been taken yet, in the order of their shards."""

    def __init__(self, client, name, bar):
        self.client, self.task, self.bar = client, task_of(name), bar
        self.sent, self.unfinished = collections.deque(), {}
        self.finished = queue.SimpleQueue()
        self.shard_seconds, self.set_seconds = math.inf, SET_SECONDS

    def send(self, first, level, images, rest=None):
        """Send a task of 8**level shards with so many images; or of `rest` images of one shard."""
        future = self.client.submit(self.task, first, level, rest, pure=False, priority=-first)
        self.sent.append((future, level if rest is None else None))
        self.unfinished[future.key] = images
        future.add_done_callback(self.finished.put)

    def has_room(self, workers):
        """Return whether workers could run out of tasks, and few sums wait for an earlier one."""
        queued = 1 if math.isinf(self.shard_seconds) else QUEUED  # 1 until a shard was timed
        return len(self.unfinished) < queued * workers and len(self.sent) < AHEAD * workers

    def first_is_finished(self):
        """Return whether the first sums can be taken."""
        return bool(self.sent) and self.sent[0][0].status == "finished"

    def take(self):
        """Return the first sums and their level; errors are those of `listen`."""
        future, level = self.sent.popleft()
        try:
            sums, seconds = future.result()
        except Exception:
            refuse_failure(future)
            raise
        if level is not None:
            size = sum(array.nbytes for arrays in sums.values() for array in arrays.values())
            self.shard_seconds, self.set_seconds = seconds, SET_SECONDS + size / BYTES_A_SECOND
        return sums, level

    def listen(self, seconds):
        """Wait so long for a task to finish, and count the images of all finished tasks.

        Raises:
            UserError: if a task failed, or workers died of it.
            ConnectionError: if the scheduler is gone.
        """
        with contextlib.suppress(queue.Empty):
            while True:
                future = self.finished.get(timeout=seconds)
                refuse_failure(future)
                self.bar.update(self.unfinished.pop(future.key, 0))
                seconds = 0

    def cancel(self):
        """Cancel all tasks whose sums have not been taken."""
        self.client.cancel([future for future, _ in self.sent])


def refuse_failure(future):
    """Raise a sentence about what went wrong with a future, if anything did."""
    if future.status == "cancelled":
        raise ConnectionError
    if future.status != "error":
        return
    error = future.exception()
    if isinstance(error, KilledWorker):
        raise UserError(
            f"{error.allowed_failures + 1} workers died one after another at the same task, "
            f"the last of them {error.last_worker.address}: see its log; if it ran out of "
            "memory, start fewer workers per machine"
        )
    if isinstance(error, ValueError):
        raise UserError(str(error))
    raise UserError(f"a task failed: {type(error).__name__}: {str(error)[:200]}")


def sums_on(client, work, first, whole, rest, bar, stops=False):
    """Compute shards on a cluster, and yield (sums, level) of groups of 8**level in their order.

    Args:
        client: as `connect` yields it.
        work: the NoisePass.
        first, whole: shards `first` to `whole - 1` are wanted.
        rest: images of the shard after those; its sums come last, with the level None.
        bar: a progress bar of images; its description shows the number of workers.
        stops: whether the pass may end early, so that tasks must end where that is decided.

    Raises:
        UserError: if something is wrong with a worker, which the sentence names.
        FileError: if the scheduler is gone.
    """
    address, plugin = client.scheduler.address, upload(work)
    workers, tasks = Workers(client), Tasks(client, plugin.name, bar)
    try:
        client.register_plugin(plugin, name=plugin.name)
        while first < whole or rest or tasks.sent or tasks.unfinished:
            workers.look()
            description = f"noise through {work.name}, workers: {workers.count}"
            bar.set_description_str(description, refresh=False)
            while first < whole and tasks.has_room(workers.count):
                seconds = tasks.shard_seconds, tasks.set_seconds
                level = level_of_task(first, whole, workers.count, *seconds)
                if stops:
                    level = min(level, decision_level(first))
                tasks.send(first, level, GROUP**level * work.shard_images)
                first += GROUP**level
            if first == whole and rest and tasks.has_room(workers.count):
                tasks.send(whole, 0, rest, rest)
                rest = 0
            tasks.listen(0 if tasks.first_is_finished() else LISTEN_SECONDS)
            if tasks.first_is_finished():
                yield tasks.take()
    except (OSError, CancelledError, asyncio.TimeoutError) as error:
        raise FileError(
            f"the Dask scheduler at {address} is gone: start it again, and the same command "
            "continues from what was saved"
        ) from error
    finally:
        with contextlib.suppress(Exception):  # the scheduler may be gone
            if client.status == "running":
                tasks.cancel()
                client.unregister_worker_plugin(plugin.name)


def level_of_task(first, whole, workers, shard_seconds, set_seconds):
    """Return the level of the next task, which computes 8**level consecutive shards.

    A task is aligned with the groups of SumTree, takes a minute at most, and leaves enough tasks
    for every worker. It may be longer if smaller tasks would finish faster than the client can
    take their sums.

    Args:
        first, whole: shards `first` to `whole - 1` are left.
        workers: how many there are.
        shard_seconds: how long a shard takes; infinity if that is not known yet.
        set_seconds: how long the client needs for a set of sums.
    """
    left = whole - first
    for level in range(MOST_LEVEL, 0, -1):
        size = GROUP**level
        fitting = first % size == 0 and size <= left
        enough = TASKS_EACH * workers * size <= left and size * shard_seconds <= TASK_SECONDS
        rushed = size / GROUP * shard_seconds < set_seconds * workers
        if fitting and (enough or rushed):
            return level
    return 0
