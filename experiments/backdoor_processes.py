"""Work on many networks shared by the cores of this machine. This module imports nothing heavy."""

import multiprocessing
import os
import signal
import sys

_GIVEN = {}  # what a process was given once, for all its tasks


def in_processes(function, tasks, given, processes):
    """Yield function(task, **given) for each task, in order.

    Processes share the tasks, and each is sent `given` once; with one, it is this process.
    """
    if processes < 2:
        yield from (function(task, **given) for task in tasks)
        return
    with multiprocessing.get_context("spawn").Pool(processes, _begin, (function, given)) as pool:
        yield from pool.imap(_do, tasks)  # on Ctrl-C, as on an error, the pool kills its processes
        pool.close()
        pool.join()


def cores():
    """Return how many cores this process may use."""
    known = hasattr(os, "sched_getaffinity")  # not on macOS and Windows
    return len(os.sched_getaffinity(0)) if known else os.cpu_count()


def _begin(function, given):
    """Remember what all tasks need, in a process of its own."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that began this one
    for threads in ("INTRA", "INTER"):  # TensorFlow reads these when it first computes
        os.environ[f"TF_NUM_{threads}OP_THREADS"] = "1"
    _GIVEN.update(given=given, function=function)


def _do(task):
    if not multiprocessing.parent_process().is_alive():  # it was killed, and nobody waits
        sys.exit()
    return _GIVEN["function"](task, **_GIVEN["given"])
