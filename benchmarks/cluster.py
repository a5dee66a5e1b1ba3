"""What a Dask cluster gains and costs, measured, and what passes beyond one machine would take.

    python benchmarks/cluster.py                     # speed-up of two workers, about six minutes
    python benchmarks/cluster.py --simulate 1000     # sleeping workers, about three minutes
    python benchmarks/cluster.py --table             # the table on paper, about two minutes

A simulated worker sleeps for as long as a real one computes, and returns sums of the true size, so
that the scheduler and the reduction meet what they would meet on a real cluster. All simulated
workers share this machine: what is reached is a lower bound.
"""

import argparse
import asyncio
import contextlib
import logging
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

os.environ["TF_NUM_INTRAOP_THREADS"] = os.environ["TF_NUM_INTEROP_THREADS"] = "1"
ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)  # instead of this folder, which has a `cluster` of its own

import dask  # noqa: E402
import numpy as np  # noqa: E402
import psutil  # noqa: E402
from distributed import Client, LocalCluster, Worker  # noqa: E402

import cluster  # noqa: E402
from main import CONVOLUTIONS, import_tensorflow_quietly  # noqa: E402

SHARD_MB = {"lenet": 0.73}  # of sums; printed by --table
TASK_SECONDS = 5.0  # eight shards of LeNet on one thread


def networks():
    """The demonstration networks, untrained (their speed is the same), and what main.py taps."""
    from alexnet import AlexNet
    from lenet import LeNet

    return {"lenet": LeNet(), "alexnet": AlexNet()}


class Timeline:
    """Stands in for a progress bar, and remembers when which images were done."""

    def __init__(self):
        self.events = []

    def update(self, images):
        """Note that so many more images are done."""
        if images:
            self.events.append((time.perf_counter(), images))

    def set_description_str(self, *args, **kwargs):
        """Ignore the text."""

    def rate(self, skip):
        """Images/s between the end of the first `skip` tasks and the last end."""
        (start, _), *later = self.events[skip:]
        return sum(images for _, images in later) / (later[-1][0] - start)


# --------------------------------------------------------------------------- speed-up


def one_worker():
    """One worker process on one core, with one thread."""
    few = LocalCluster(
        1, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0", memory_limit=0
    )
    pin = cluster.Pin([[sorted(os.sched_getaffinity(0))[0]]])
    return pin, few


def speed_up(rounds, seconds=10):
    """Time passes on one and on two one-thread workers in turn."""
    import_tensorflow_quietly()
    from noise import WhiteNoise
    from reverse_correlation import Shards

    cluster.LONG = math.inf  # tasks of one shard: more overhead than usual, and finer timing
    passes = {
        name: (model, Shards(model, WhiteNoise(), layers=CONVOLUTIONS[name]))
        for name, model in networks().items()
    }
    found = {}
    with contextlib.ExitStack() as stack:
        two = stack.enter_context(cluster.connect("local:2"))
        pin, few = one_worker()
        one = stack.enter_context(Client(stack.enter_context(few), set_as_default=False))
        one.register_plugin(pin, name="white-noise-pin")
        shards = {"lenet": int(seconds * 1.6), "alexnet": int(seconds * 0.8)}
        for index in range(rounds):
            for name, (model, work) in passes.items():
                for workers, client in ((1, one), (2, two)):
                    line = Timeline()
                    count = workers * shards[name] + 4
                    for _ in cluster.sums_on(client, model, work, 0, count, 0, line):
                        pass
                    found.setdefault((name, workers), []).append(line.rate(4))
            print_speed_up(found, index + 1)


def print_speed_up(found, rounds):
    """Print medians over the rounds so far."""
    print(f"rounds: {rounds}", flush=True)
    for name in ("lenet", "alexnet"):
        one, two = found[name, 1], found[name, 2]
        ratios = [b / a for a, b in zip(one, two, strict=True)]
        print(
            f"{name}: thousand images/s: one worker {np.median(one) / 1e3:.1f}, two "
            f"{np.median(two) / 1e3:.1f}; speed-up {np.median(ratios):.2f} "
            f"({min(ratios):.2f} to {max(ratios):.2f})"
        )


# --------------------------------------------------------------------------- simulation


LEAN = {  # what each of a thousand workers in one process would otherwise do 50 times a second
    "distributed.admin.tick.interval": "10s",
    "distributed.admin.system-monitor.interval": "10s",
    "distributed.worker.profile.enabled": False,
}


class Asleep(cluster.Pass):
    """Stands in for `Pass`: sleeps, and returns sums of the true size."""

    def __init__(self, seconds, megabytes):
        self.name, self.seconds, self.numbers = "asleep", seconds, int(megabytes * 1e6 / 8)

    def setup(self, worker):
        """Nothing is built."""

    def sums(self, first, level, images=None):
        """Return the sums of a task, after as long as a real one takes."""
        time.sleep(self.seconds * 8**level / 8)
        return {"all": {"r": np.full(self.numbers, float(8**level))}}

    def add(self, parts, level):
        """Add eight sums, as SumTree does."""
        total = parts[0]["all"]["r"]
        for part in parts[1:]:
            total = total + part["all"]["r"]
        return {"all": {"r": total}}


async def many_workers(address, number):
    """Run workers inside this process until the scheduler is gone."""
    logging.disable(logging.CRITICAL)
    dask.config.set(LEAN)
    with tempfile.TemporaryDirectory() as folder:
        workers = [
            await Worker(
                address, nthreads=1, memory_limit=0, local_directory=folder, dashboard=False
            )
            for _ in range(number)
        ]
        await asyncio.gather(*(worker.finished() for worker in workers))


def scheduler_bytes(dask_scheduler):
    """Bytes that the scheduler's open connections have sent and received (Linux)."""
    import os
    import socket
    import struct

    total = 0
    for fd in os.listdir("/proc/self/fd"):
        try:
            with socket.socket(fileno=os.dup(int(fd))) as copy:
                told = copy.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 136)
                total += sum(struct.unpack("QQ", told[120:136]))
        except OSError:
            pass
    return total


def simulate(number, seconds, megabytes, tasks_each):
    """Print what the scheduler and the client spend on sleeping workers."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    address, processes = "tcp://127.0.0.1:18786", []
    command = [sys.executable, "-m", "dask", "scheduler", "--host", "127.0.0.1", "--no-dashboard"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    try:
        processes.append(subprocess.Popen([*command, "--port", "18786"], **quiet))
        own = [sys.executable, __file__, "--workers-of", address]
        share = min(number, 250)
        for _ in range(number // share):
            processes.append(subprocess.Popen([*own, "--simulate", str(share)], **quiet))
        with cluster.connect(address) as client:
            client.wait_for_workers(number, timeout=200)
            print(f"{number} workers have joined", file=sys.stderr)
            report(client, psutil.Process(processes[0].pid), number, seconds, megabytes, tasks_each)
    finally:
        for process in processes:
            process.kill()


def report(client, scheduler, number, seconds, megabytes, tasks_each):
    """Run a pass on sleeping workers, and print what it cost."""
    cluster.Pass = lambda *_: Asleep(seconds, megabytes)
    cluster.LONG = 0  # tasks of eight shards, as in a long pass
    work, line = SimpleNamespace(name="asleep", images=8), Timeline()
    idle = cpu(scheduler)
    time.sleep(5)
    idle = (cpu(scheduler) - idle) / 5
    shards = 8 * number * tasks_each
    before, sent = cpu(scheduler), client.run_on_scheduler(scheduler_bytes)
    own, started, pieces, total = time.process_time(), time.perf_counter(), 0, 0.0
    for sums, _ in cluster.sums_on(client, None, work, 0, shards, 0, line):
        pieces, total = pieces + 1, total + sums["all"]["r"][0]
    wall, own = time.perf_counter() - started, time.process_time() - own
    spent, sent = cpu(scheduler) - before, client.run_on_scheduler(scheduler_bytes) - sent
    if total != shards:
        raise ValueError(f"{total:,.0f} of {shards:,} shards were counted")
    tasks = len(line.events)
    ideal = shards / 8 * seconds / number
    print(
        f"{number} workers, {seconds:g} s a task of eight shards, {megabytes:g} MB of sums\n"
        f"  {shards:,} shards in {tasks:,} tasks and {pieces} pieces, all counted once\n"
        f"  {wall:.1f} s, of which {ideal:.1f} s are sleep: {ideal / wall:.0%} of the ideal\n"
        f"  scheduler: {1e3 * spent / shards:.3f} ms and {sent / shards / 1e3:.2f} kB a shard, "
        f"busy {spent / wall:.0%} of the time (idle: {idle:.0%})\n"
        f"  client: {1e3 * own / shards:.3f} ms a shard; received "
        f"{pieces * megabytes:.0f} MB in all\n"
        f"  a scheduler busy all the time: {shards / spent:,.0f} shards/s, "
        f"{shards / spent * seconds / 8:,.0f} such workers"
    )


def cpu(process):
    """Seconds of processor time that a process has used."""
    times = process.cpu_times()
    return times.user + times.system


# --------------------------------------------------------------------------- the table on paper


def resnet50():
    """A ResNet-50 of 20 classes, random weights: 224x224 pixels, as large as ImageNet's."""
    import keras

    return keras.applications.ResNet50(weights=None, classes=20)


def table():
    """Measure one thread's speed, and print what a billion images and more would take."""
    import_tensorflow_quietly()
    from noise import WhiteNoise
    from reverse_correlation import Shards

    print(
        "network    images/core-s   shard of    sums    images   core-hours       shards    moved"
    )
    builds = {**networks(), "resnet50": resnet50()}
    for name, model in builds.items():
        work = Shards(model, WhiteNoise(shape=model.input_shape[1:]), 0, CONVOLUTIONS.get(name, ()))
        images = {"lenet": 32_000, "alexnet": 16_000}.get(name, 3 * work.block_images)
        sums = work.sums(0, 1)
        size = sum(value.nbytes for named in sums.values() for value in named.values())
        work.sums(0, min(images, 2 * work.block_images))
        started, left = time.process_time(), images  # processor time: others may be at work
        while left > 0:
            work.sums(0, min(left, work.images))
            left -= work.images
        speed = images / (time.process_time() - started)
        for total in (10**9, 10**12):
            shards = total // work.images
            print(
                f"{name:10}{speed:11,.1f}{work.images:11,}{size / 1e6:6.1f} MB{total:10.0e}"
                f"{total / speed / 3600:13,.0f} {shards:14,} {shards / 8 * size / 1e12:8,.2f} TB"
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--simulate", type=int, metavar="WORKERS")
    parser.add_argument("--seconds", type=float, default=TASK_SECONDS, help="a task sleeps")
    parser.add_argument("--megabytes", type=float, default=SHARD_MB["lenet"], help="of sums")
    parser.add_argument("--tasks-each", type=int, default=4, help="per simulated worker")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--workers-of", metavar="ADDRESS", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.workers_of:
        asyncio.run(many_workers(args.workers_of, args.simulate))
    elif args.simulate:
        simulate(args.simulate, args.seconds, args.megabytes, args.tasks_each)
    elif args.table:
        table()
    else:
        speed_up(args.rounds)
