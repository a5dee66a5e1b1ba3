"""Speed of the pass of noise, as ratios measured in one run.

    python benchmarks/throughput.py                  # about three minutes
    python benchmarks/throughput.py --memory         # peak memory of 100,000 and 10,000,000 images

Machines drift: every round times all contestants in turn, and a ratio is the median over rounds
of the ratios within a round.
"""

import argparse
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from main import CONVOLUTIONS, import_tensorflow_quietly  # noqa: E402

import_tensorflow_quietly()

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402

from alexnet import AlexNet  # noqa: E402
from lenet import LeNet  # noqa: E402
from noise import WhiteNoise  # noqa: E402
from reverse_correlation import BLOCK_IMAGES, measure  # noqa: E402

tf.get_logger().setLevel("ERROR")  # it warns of every further pass that is compiled
NETWORKS = {"lenet": LeNet, "alexnet": AlexNet}
ALEXNET_FLOP = 11.7e6  # an image: twice the multiply-adds of its convolutions and dense layers


def matmul_peak(size=2048, repeats=24):
    """Return the machine's own float32 matrix product, in FLOP/s."""
    a = tf.random.stateless_normal((size, size), (0, 0))

    @tf.function
    def run(n):
        total = tf.zeros((size, size))
        for _ in tf.range(n):
            total += tf.matmul(a, a)
        return total[0, 0]

    return 2 * size**3 * rate(lambda n: run(tf.constant(n)).numpy(), repeats)


def bare_forward(network, noise, images):
    """Images/s of drawing noise and answering it, in a graph loop, with nothing measured."""

    @tf.function
    def run(blocks):
        total = tf.zeros(network.output_shape[1:])
        for block in tf.range(blocks):
            answers = network(noise.draw(0, block, BLOCK_IMAGES), training=False)
            total += tf.reduce_sum(answers, axis=0)
        return total

    blocks = images // BLOCK_IMAGES
    return BLOCK_IMAGES * rate(lambda n: run(tf.constant(n)).numpy(), blocks)


def forward_of_one_block(network, noise, images):
    """Images/s of answering one block of noise again and again: no noise is drawn."""
    stimuli = noise.draw(0, 0, BLOCK_IMAGES)

    @tf.function
    def run(blocks):
        total = tf.zeros(network.output_shape[1:])
        for block in tf.range(blocks):
            shifted = stimuli + 1e-6 * tf.cast(block, tf.float32)  # or the loop is hoisted away
            total += tf.reduce_sum(network(shifted, training=False), axis=0)
        return total

    blocks = images // BLOCK_IMAGES
    return BLOCK_IMAGES * rate(lambda n: run(tf.constant(n)).numpy(), blocks)


def predict_and_numpy(network, noise, images):
    """Images/s of the usual way: NumPy draws, `predict` answers, NumPy averages by answer."""
    rng = np.random.default_rng(0)
    total = np.zeros((10, *noise.shape))

    def run(blocks):
        for _ in range(blocks):
            stimuli = rng.normal(noise.mean, noise.std, (10_000, *noise.shape)).astype(np.float32)
            answers = network.predict(stimuli, batch_size=1000, verbose=0).argmax(axis=1)
            for k in range(10):
                total[k] += stimuli[answers == k].sum(axis=0)

    return 10_000 * rate(run, max(1, images // 10_000))


def one_predict_per_image(network, noise, images=40):
    """Images/s of the original's procedure: one `predict` call an image."""
    stimuli = noise.draw(0, 0, images).numpy()

    def run(n):
        for i in range(n):
            network.predict(stimuli[i : i + 1], verbose=0)

    return rate(run, images)


def torch_notebook(images):
    """Images/s of a loop as in the paper's notebooks on the paper's own net; None without torch."""
    try:
        import torch
    except ImportError:
        return None
    nn = torch.nn
    net = nn.Sequential(
        nn.Conv2d(1, 20, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(20, 50, 5), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(800, 500), nn.ReLU(), nn.Linear(500, 10),
    )  # fmt: skip

    def run(batches):
        sums, counts = torch.zeros(10, 1, 28, 28), torch.zeros(10)
        with torch.no_grad():
            for _ in range(batches):
                x = torch.rand(1000, 1, 28, 28)
                answers = net(x).argmax(dim=1)
                for k in range(10):
                    sums[k] += x[answers == k].sum(dim=0)
                    counts[k] += (answers == k).sum()

    return 1000 * rate(run, max(1, images // 1000))


def papers_net():
    """The paper's MNIST net in Keras, for the comparison with its notebooks."""
    stack = [
        keras.layers.Conv2D(20, 5, activation="relu"),
        keras.layers.MaxPooling2D(2),
        keras.layers.Conv2D(50, 5, activation="relu"),
        keras.layers.MaxPooling2D(2),
        keras.layers.Flatten(),
        keras.layers.Dense(500, activation="relu"),
        keras.layers.Dense(10),
        keras.layers.Softmax(),
    ]
    return keras.Sequential([keras.Input((28, 28, 1)), *stack])


def rate(run, repeats):
    """Calls of the loop's body per second, after a warm-up."""
    run(1)
    start = time.perf_counter()
    run(repeats)
    return repeats / (time.perf_counter() - start)


class Pass:
    """`measure`, timed without the compilation of its graph: more images minus fewer."""

    def __init__(self, network, noise, **kwargs):
        self.call = lambda n: measure(network, noise, n, progress=False, **kwargs)

    def rate(self, images):
        """Images/s."""
        times = []
        for count in (4000, 4000 + images):
            start = time.perf_counter()
            self.call(count)
            times.append(time.perf_counter() - start)
        return images / (times[1] - times[0])


def table(rounds, images):
    """Time everything in turn, several rounds, and print medians and ratios."""
    keras.utils.set_random_seed(0)
    noise, results = WhiteNoise(), {}

    def note(name, value):
        results.setdefault(name, []).append(value)

    for index in range(rounds):
        print(f"round {index + 1} of {rounds}", file=sys.stderr)
        note("matmul", matmul_peak())
        for name, build in NETWORKS.items():
            network = build()
            n = images[name]
            note(f"{name} fixed", forward_of_one_block(network, noise, n))
            note(f"{name} bare", bare_forward(network, noise, n))
            note(f"{name} classes", Pass(network, noise).rate(n))
            every = [layer.name for layer in network.layers if layer.name.startswith("conv")]
            note(f"{name} all", Pass(network, noise, layers=every).rate(n))
            main = CONVOLUTIONS[name]
            note(f"{name} main", Pass(network, noise, layers=main).rate(n))
            if name == "alexnet":
                half = Pass(network, noise, layers=main, precision="bfloat16")
                note(f"{name} bfloat16", half.rate(n))
            note(f"{name} predict", predict_and_numpy(network, noise, n // 2))
            note(f"{name} single", one_predict_per_image(network, noise))
        note("paper ours", Pass(papers_net(), WhiteNoise("uniform")).rate(20_000))
        note("paper torch", torch_notebook(10_000))

    def ratio(a, b, scale=1.0):
        if None in results[a] or None in results[b]:
            return "not measured: no PyTorch here"
        each = [scale * x / y for x, y in zip(results[a], results[b], strict=True)]
        return f"{np.median(each):8.2f}   ({min(each):.2f} to {max(each):.2f})"

    print(f"\nTensorFlow {tf.__version__}, {rounds} rounds; median ratio (least to most)\n")
    print(f"matmul peak: {np.median(results['matmul']) / 1e9:.0f} GFLOP/s")
    for name in NETWORKS:
        rates = ", ".join(
            f"{label} {np.median(results[f'{name} {key}']) / 1e3:.1f}"
            for key, label in (("bare", "bare"), ("classes", "classes"), ("all", "all layers"))
        )
        print(f"{name}: thousand images/s: {rates}")
    rows = []
    for name in NETWORKS:
        rows += [
            (
                f"{name}: bare pass / answering one block, no drawing",
                f"{name} bare",
                f"{name} fixed",
                1,
            ),
            (f"{name}: measure, classes / bare pass", f"{name} classes", f"{name} bare", 1),
            (
                f"{name}: measure, classes and all conv. / bare pass",
                f"{name} all",
                f"{name} bare",
                1,
            ),
            (f"{name}: measure as main.py does / bare pass", f"{name} main", f"{name} bare", 1),
            (
                f"{name}: measure, classes / predict + numpy",
                f"{name} classes",
                f"{name} predict",
                1,
            ),
            (
                f"{name}: measure, classes / one predict per image",
                f"{name} classes",
                f"{name} single",
                1,
            ),
        ]
    rows += [
        (
            "alexnet: measure, classes, FLOP / matmul peak",
            "alexnet classes",
            "matmul",
            ALEXNET_FLOP,
        ),
        ("alexnet: bfloat16 / float32, as main.py does", "alexnet bfloat16", "alexnet main", 1),
        ("paper's net: measure / PyTorch as in the notebooks", "paper ours", "paper torch", 1),
    ]
    for label, a, b, scale in rows:
        print(f"{label:58}{ratio(a, b, scale)}")


def memory(counts=(100_000, 10_000_000)):
    """Peak memory of passes of different lengths, each in a process of its own."""
    for count in counts:
        command = [sys.executable, __file__, "--pass-only", str(count)]
        peak = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        print(f"{count:>12,} images through LeNet: peak {peak / 1e6:.0f} MB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--pass-only", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.pass_only:
        measure(LeNet(), WhiteNoise(), args.pass_only, layers=["conv1", "conv2"], progress=False)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
    elif args.memory:
        memory()
    else:
        table(args.rounds, {"lenet": 80_000, "alexnet": 24_000})
