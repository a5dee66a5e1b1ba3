"""Speed of the pass of noise, as ratios within rounds of one run.

    python benchmarks/throughput.py                            # about half an hour
    python benchmarks/throughput.py --seconds 2 --rounds 3     # a rough look
    python benchmarks/throughput.py --torch-python .venv-torch/bin/python    # with PyTorch beside
    python benchmarks/throughput.py --onednn                   # oneDNN against none, rounds in turn
    python benchmarks/throughput.py --numbers                  # orthogonal against independent
    python benchmarks/throughput.py --memory                   # peak memory of two lengths

Everything is compiled before it is timed, and timed for at least so many seconds, in turn with its
competitors; a ratio is the median over rounds of the ratios within a round. What cannot share a
process (another setting of oneDNN, PyTorch) has one of its own in every round.
`ONEDNN_MAX_CPU_ISA=AVX2 TF_ENABLE_ONEDNN_OPTS=0` before the command stands in for another CPU.
"""

import argparse
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from reverse_correlation.backend import import_tensorflow_quietly, machine  # noqa: E402

import_tensorflow_quietly()

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

from lenet import LeNet  # noqa: E402
from reverse_correlation import WhiteNoise, measure  # noqa: E402
from reverse_correlation.passes.noise_pass import NoisePass  # noqa: E402
from training import NETWORKS  # noqa: E402

ENTRIES = {name: NETWORKS[name] for name in ("lenet", "alexnet")}
ASKED = {"classes": 0.85, "main lenet": 0.70, "main alexnet": 0.80}  # of the bare forward pass
KINDS = ("orthogonal", "independent")  # of numbers behind the noise


def rate(step, images, seconds):
    """Return the images/s of a step of so many images, after three that are not counted."""
    for _ in range(3):
        step()
    steps, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        step()
        steps += 1
    return steps * images / (time.perf_counter() - started)


def passed(network, layers=(), precision="float32", orthogonal=True):
    """Return what computes a shard of our pass, and its number of images."""
    noise = WhiteNoise(orthogonal=orthogonal)
    work = NoisePass(network, noise, layers=layers, precision=precision)
    return lambda: work.shard_sums(0), work.shard_images


def bare(network):
    """Return what answers a shard of the same noise, in pairs, without measuring it."""
    work = NoisePass(network, WhiteNoise())

    @tf.function(autograph=False)
    def shard(first):
        orthogonal = work.noise.orthogonal_numbers(work.seed, first // work.shard_blocks)

        def add(block, total):
            answered = work.block(block, work.block_images, orthogonal)["logits"]
            return block + 1, total + tf.reduce_sum(answered, axis=0)

        end = first + work.shard_blocks
        return tf.while_loop(lambda block, _: block < end, add, (first, tf.zeros(10)))[1]

    return lambda: shard(tf.constant(0, tf.int64)).numpy(), work.shard_images


def predict_and_numpy(network):
    """Return the usual way: NumPy draws, `predict` answers, NumPy averages by answer."""
    rng, total, noise = np.random.default_rng(0), np.zeros((10, 28, 28, 1)), WhiteNoise()

    def step():
        stimuli = rng.normal(noise.mean, noise.std, (10_000, 28, 28, 1)).astype(np.float32)
        answers = network.predict(stimuli, batch_size=1000, verbose=0).argmax(axis=1)
        for k in range(10):
            total[k] += stimuli[answers == k].sum(axis=0)

    return step, 10_000


def training(network):
    """Return a training step of 128 images."""
    rng = np.random.default_rng(0)
    images, labels = rng.random((128, 28, 28, 1), np.float32), rng.integers(0, 10, 128)
    network.compile("adam", "sparse_categorical_crossentropy", jit_compile=False)
    return lambda: network.train_on_batch(images, labels), 128


def papers_net():
    """Return the MNIST net of Borji and Lin, in Keras."""
    stack = [
        keras.layers.Conv2D(20, 5, activation="relu"),
        keras.layers.MaxPooling2D(2),
        keras.layers.Conv2D(50, 5, activation="relu"),
        keras.layers.MaxPooling2D(2),
        keras.layers.Flatten(),
        keras.layers.Dense(500, activation="relu"),
        keras.layers.Dense(10, activation="softmax"),
    ]
    return keras.Sequential([keras.Input((28, 28, 1)), *stack])


def matmul(size=2048):
    """Return the machine's own float32 matrix product; in FLOP rather than images."""
    a = tf.random.stateless_normal((size, size), (0, 0))
    product = tf.function(lambda: tf.matmul(a, a)[0, 0], autograph=False)
    return lambda: product().numpy(), 2 * size**3


def flop(network):
    """Return the floating-point operations of an image: two for each use of a weight."""
    return sum(
        2 * np.prod(layer.output.shape[1:-1], dtype=int) * np.prod(layer.kernel.shape)
        for layer in network.layers
        if hasattr(layer, "kernel")
    )


def contestants():
    """Return everything that is timed in this process: {name: (step, images)}."""
    keras.utils.set_random_seed(0)
    steps = {"matrix product": matmul()}
    for name, entry in ENTRIES.items():
        network = entry.build()
        steps[f"{name} bare"] = bare(network)
        steps[f"{name} classes"] = passed(network)
        steps[f"{name} main"] = passed(network, entry.convolutions)
        steps[f"{name} bfloat16"] = passed(network, entry.convolutions, "bfloat16")
        steps[f"{name} predict"] = predict_and_numpy(network)
    steps["paper classes"] = passed(papers_net())
    return steps


def in_a_process(*arguments, python=sys.executable, **environment):
    """Return the numbers that a process of its own prints, or None if it cannot run."""
    command = [python, *map(str, arguments)]
    settings = {**os.environ, **environment}
    done = subprocess.run(command, capture_output=True, text=True, env=settings)
    if done.returncode:
        return None
    return [float(number) for number in done.stdout.split()]


def ratios(rates, above, below, scale=1.0):
    """Say the median, least and most of the ratios within rounds."""
    found = [scale * a / b for a, b in zip(rates[above], rates[below], strict=True)]
    return f"{np.median(found):6.2f} ({min(found):.2f} to {max(found):.2f})"


def table(rounds, seconds, torch_python):
    """Time everything in turn, several rounds, and print medians and ratios."""
    steps, rates = contestants(), {}
    for index in range(rounds):
        print(f"round {index + 1} of {rounds}", file=sys.stderr)
        for name, (step, images) in steps.items():
            rates.setdefault(name, []).append(rate(step, images, seconds))
        for loop in ("notebook", "careful"):
            script = ROOT / "benchmarks/torch_loop.py"
            numbers = in_a_process(script, loop, seconds, python=torch_python)
            if numbers:
                rates.setdefault(f"torch {loop}", []).append(numbers[0])
    print(f"TensorFlow {tf.__version__}, {machine()}, {rounds} rounds of {seconds:g} s")
    print(f"matrix product: {np.median(rates['matrix product']) / 1e9:.0f} GFLOP/s")
    for name, entry in ENTRIES.items():
        ways = ("bare", "classes", "main", "bfloat16", "predict")
        speeds = (f"{way} {np.median(rates[f'{name} {way}']) / 1e3:.1f}" for way in ways)
        print(f"{name}, thousand images/s: {', '.join(speeds)}")
        rows = [
            (f"classes / bare (asked {ASKED['classes']})", "classes", "bare", 1),
            (f"as main.py does / bare (asked {ASKED[f'main {name}']})", "main", "bare", 1),
            ("classes / predict + NumPy (asked 2)", "classes", "predict", 1),
            ("bfloat16 / float32, as main.py does", "bfloat16", "main", 1),
        ]
        for label, above, below, scale in rows:
            print(f"  {label:50}{ratios(rates, f'{name} {above}', f'{name} {below}', scale)}")
        share = ratios(rates, f"{name} bare", "matrix product", flop(entry.build()))
        print(f"  {'bare, FLOP / matrix product':50}{share}")
    for loop in ("notebook", "careful"):
        ratio = "not measured: that Python has no PyTorch"
        if f"torch {loop}" in rates:
            ratio = ratios(rates, "paper classes", f"torch {loop}")
        print(f"  {f'paper net: classes / PyTorch, {loop} (asked 2)':50}{ratio}")


def settings_of_one(seconds):
    """Print images/s of forward passes, passes and training steps under this process's setting."""
    for entry in ENTRIES.values():
        for make in (bare, passed, training):
            print(rate(*make(entry.build()), seconds))


def onednn(rounds, seconds):
    """Compare oneDNN with none, each in a process of its own, in turn."""
    names = [f"{n} {what}" for n in ENTRIES for what in ("bare pass", "classes", "training")]
    speedups = {name: [] for name in names}
    for _ in range(rounds):
        off, on = (
            in_a_process(
                __file__, "--one-setting", "--seconds", seconds, TF_ENABLE_ONEDNN_OPTS=setting
            )
            for setting in "01"
        )
        for name, slow, fast in zip(names, off, on, strict=True):
            speedups[name].append((fast / slow, slow, fast))
    for name, rows in speedups.items():
        times, slow, fast = np.array(rows).T
        print(
            f"{name:22} oneDNN {np.median(fast):8,.0f} img/s, without {np.median(slow):8,.0f}: "
            f"{np.median(times):.2f} times ({times.min():.2f} to {times.max():.2f})"
        )


def numbers(rounds, seconds):
    """Compare passes of orthogonal with those of independent numbers, in turn."""
    for name, entry in ENTRIES.items():
        network = entry.build()
        steps = {kind: passed(network, orthogonal=kind == "orthogonal") for kind in KINDS}
        rates = {kind: [] for kind in KINDS}
        for _ in range(rounds):
            for kind, found in rates.items():
                found.append(rate(*steps[kind], seconds))
        speeds = (f"{kind} {np.median(found) / 1e3:.1f}" for kind, found in rates.items())
        print(f"{name} classes, thousand images/s: {', '.join(speeds)}")
        print(f"  {'orthogonal / independent (asked 0.95)':50}{ratios(rates, *KINDS)}", flush=True)


def memory(counts=(100_000, 10_000_000)):
    """Print the peak memory of passes of different lengths, each in a process of its own."""
    for count in counts:
        peak = in_a_process(__file__, "--pass-only", count)[-1]
        print(f"{count:>12,} images through LeNet: peak {peak / 1e6:.0f} MB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--torch-python", default=sys.executable, help="a Python that has PyTorch")
    parser.add_argument("--onednn", action="store_true")
    parser.add_argument("--numbers", action="store_true")
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--one-setting", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--pass-only", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.pass_only:
        measure(LeNet(), WhiteNoise(), args.pass_only, layers=["conv1", "conv2"], progress=False)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
    elif args.one_setting:
        settings_of_one(args.seconds)
    elif args.onednn:
        onednn(args.rounds, args.seconds)
    elif args.numbers:
        numbers(args.rounds, args.seconds)
    elif args.memory:
        memory()
    else:
        table(args.rounds, args.seconds, args.torch_python)
