"""What a Dask cluster gains and costs, measured, and what passes beyond one machine would take.

    python benchmarks/cluster.py                     # speed-up of two workers, about six minutes
    python benchmarks/cluster.py --simulate 1000     # sleeping workers, about three minutes
    python benchmarks/cluster.py --table             # the table on paper, about two minutes

A simulated worker sleeps for as long as a real one computes, and returns sums of the true size, so
that the scheduler and the client meet what they would meet on a real cluster. All simulated workers
share this machine: what is reached is a lower bound.
"""

import argparse
import asyncio
import contextlib
import logging
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

os.environ["TF_NUM_INTRAOP_THREADS"] = os.environ["TF_NUM_INTEROP_THREADS"] = "1"
sys.path[0] = str(Path(__file__).resolve().parent.parent)  # instead of this folder

import dask  # noqa: E402
import numpy as np  # noqa: E402
import psutil  # noqa: E402
from distributed import Client, LocalCluster, Worker, WorkerPlugin  # noqa: E402

from reverse_correlation import cluster  # noqa: E402
from reverse_correlation.backend import import_quietly  # noqa: E402

SHARD_MB = 0.73  # of LeNet's sums; printed by --table
SHARD_SECONDS = 0.28  # of LeNet on one thread
SIMULATED_SHARDS = 64  # of a simulated task
WORKERS_ON_PAPER = 1000  # by which the size of tasks on paper is chosen


def passes():
    """Return the passes of the demonstration networks, untrained (their speed is the same)."""
    from reverse_correlation import WhiteNoise  # TensorFlow; the simulation does without it
    from reverse_correlation.passes.noise_pass import NoisePass
    from training import NETWORKS

    entries = {name: NETWORKS[name] for name in ("lenet", "alexnet")}
    return {
        name: NoisePass(entry.build(), WhiteNoise(), layers=entry.convolutions)
        for name, entry in entries.items()
    }


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
        """Return the images/s between the end of the first `skip` tasks and the last end."""
        (start, _), *later = self.events[skip:]
        return sum(images for _, images in later) / (later[-1][0] - start)


# --------------------------------------------------------------------------- speed-up


def one_worker():
    """Return a worker process with one thread, and what pins it to one core."""
    few = LocalCluster(
        1, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0", memory_limit=0
    )
    pin = cluster.Pin([[sorted(os.sched_getaffinity(0))[0]]])
    return pin, few


def speed_up(rounds, seconds=10):
    """Time passes on one and on two one-thread workers in turn."""
    import_quietly()
    cluster.MOST_LEVEL = 0  # tasks of one shard: more overhead than usual, and finer timing
    shards, rates = {"lenet": int(seconds * 1.6), "alexnet": int(seconds * 0.8)}, {}
    with contextlib.ExitStack() as stack:
        two = stack.enter_context(cluster.connect("local:2"))
        pin, few = one_worker()
        one = stack.enter_context(Client(stack.enter_context(few), set_as_default=False))
        one.register_plugin(pin, name="reverse-correlation-pin")
        works = passes()
        for index in range(rounds):
            for name, work in works.items():
                for workers, client in ((1, one), (2, two)):
                    line = Timeline()
                    count = workers * shards[name] + 4
                    for _ in cluster.sums_on(client, work, 0, count, 0, line):
                        pass
                    rates.setdefault((name, workers), []).append(line.rate(4))
            print_speed_up(rates, index + 1)


def print_speed_up(rates, rounds):
    """Print medians over the rounds so far."""
    print(f"rounds: {rounds}", flush=True)
    for name in ("lenet", "alexnet"):
        one, two = rates[name, 1], rates[name, 2]
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


def sleeping_task(seconds, megabytes):
    """Return what stands in for a task: it sleeps, and returns sums of the true size.

    Args:
        seconds: that a shard takes.
        megabytes: of a set of sums.
    """
    numbers = int(megabytes * 1e6 / 8)

    def task(first, level, images=None):
        time.sleep(seconds * 8**level)
        return {"all": {"r": np.full(numbers, float(8**level))}}, seconds

    return task


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
    """Return the bytes that the scheduler's connections have sent and received (Linux)."""
    import os
    import socket
    import struct

    total = 0
    for fd in os.listdir("/proc/self/fd"):
        try:
            with socket.socket(fileno=os.dup(int(fd))) as copy:
                record = copy.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 136)
                total += sum(struct.unpack("QQ", record[120:136]))
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
        workers = [sys.executable, __file__, "--workers-of", address]
        share = min(number, 250)
        for _ in range(number // share):
            processes.append(subprocess.Popen([*workers, "--simulate", str(share)], **quiet))
        with cluster.connect(address) as client:
            client.wait_for_workers(number, timeout=200)
            print(f"{number} workers have joined", file=sys.stderr)
            report(client, psutil.Process(processes[0].pid), number, seconds, megabytes, tasks_each)
    finally:
        for process in processes:
            process.kill()


def report(client, scheduler, number, seconds, megabytes, tasks_each):
    """Run a pass on sleeping workers, and print what it cost."""
    plugin = WorkerPlugin()
    plugin.name = "asleep"
    cluster.upload = lambda work: plugin
    cluster.task_of = lambda name: sleeping_task(seconds, megabytes)
    work, line = SimpleNamespace(name="asleep", shard_images=8), Timeline()
    idle = cpu(scheduler)
    time.sleep(5)
    idle = (cpu(scheduler) - idle) / 5
    shards = SIMULATED_SHARDS * number * tasks_each
    before, sent = cpu(scheduler), client.run_on_scheduler(scheduler_bytes)
    client_before, started, total = time.process_time(), time.perf_counter(), 0.0
    for sums, _ in cluster.sums_on(client, work, 0, shards, 0, line):
        total += sums["all"]["r"][0]
    wall, client_spent = time.perf_counter() - started, time.process_time() - client_before
    spent, sent = cpu(scheduler) - before, client.run_on_scheduler(scheduler_bytes) - sent
    if total != shards:
        raise ValueError(f"{total:,.0f} of {shards:,} shards were counted")
    tasks, ideal = len(line.events), shards * seconds / number
    print(
        f"{number} workers, {seconds:g} s a shard, {megabytes:g} MB of sums\n"
        f"  {shards:,} shards in {tasks:,} tasks, all counted once\n"
        f"  {wall:.1f} s, of which {ideal:.1f} s are sleep: {ideal / wall:.0%} of the ideal\n"
        f"  scheduler: {1e3 * spent / tasks:.2f} ms a task, {sent / shards / 1e3:.2f} kB a shard, "
        f"busy {spent / wall:.0%} of the time (idle: {idle:.0%})\n"
        f"  client: {1e3 * client_spent / tasks:.2f} ms a task, busy {client_spent / wall:.0%} of "
        f"the time; received {tasks * megabytes:,.0f} MB in all\n"
        f"  a scheduler busy all the time: {tasks / spent:,.0f} tasks/s, {shards / spent:,.0f} "
        f"shards/s, {shards / spent * seconds:,.0f} such workers"
    )


def cpu(process):
    """Return the seconds of processor time that a process has used."""
    times = process.cpu_times()
    return times.user + times.system


# --------------------------------------------------------------------------- the table on paper


def resnet50():
    """Return a ResNet-50 of 20 classes with random weights, for 224x224 pixels as on ImageNet."""
    import keras  # it imports TensorFlow

    return keras.applications.ResNet50(weights=None, classes=20)


def table():
    """Measure one thread's speed, and print what a billion images and more would take."""
    import_quietly()
    from reverse_correlation import WhiteNoise  # they import TensorFlow
    from reverse_correlation.passes.noise_pass import NoisePass

    works = {**passes(), "resnet50": NoisePass(resnet50(), WhiteNoise(shape=(224, 224, 3)))}
    print(
        "network    images/core-s   shard of    sums    images   core-hours       shards  a task"
        "    moved"
    )
    for name, work in works.items():
        images = {"lenet": 32_000, "alexnet": 16_000}.get(name, 3 * work.block_images)
        size, speed = sums_and_speed(work, images)
        for total in (10**9, 10**12):
            shards = total // work.shard_images
            seconds = work.shard_images / speed
            together = 8 ** cluster.level_of_task(
                0, shards, WORKERS_ON_PAPER, seconds, size / cluster.BYTES_A_SECOND
            )
            print(
                f"{name:10}{speed:11,.1f}{work.shard_images:11,}{size / 1e6:6.1f} MB{total:10.0e}"
                f"{total / speed / 3600:13,.0f} {shards:14,} {together:6} "
                f"{shards / together * size / 1e12:8,.3f} TB"
            )


def sums_and_speed(work, images):
    """Return the bytes of a set of sums of a pass, and images a second of processor time."""
    sums = work.shard_sums(0, 1)
    size = sum(value.nbytes for named in sums.values() for value in named.values())
    work.shard_sums(0, min(images, 2 * work.block_images))
    started, left = time.process_time(), images  # processor time: others may be at work
    while left > 0:
        work.shard_sums(0, min(left, work.shard_images))
        left -= work.shard_images
    return size, images / (time.process_time() - started)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--simulate", type=int, metavar="WORKERS")
    parser.add_argument("--seconds", type=float, default=SHARD_SECONDS, help="a shard sleeps")
    parser.add_argument("--megabytes", type=float, default=SHARD_MB, help="of sums")
    parser.add_argument("--tasks-each", type=int, default=2, help="of 64 shards, for each worker")
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
