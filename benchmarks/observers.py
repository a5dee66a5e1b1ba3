"""Speed of observers other than Keras networks beside loops written by hand, in one run.

    pip install onnxruntime onnx torch
    python benchmarks/observers.py --seconds 5 --rounds 5

The paper's net, 1,000 images at once, in PyTorch and as an ONNX file. The loops draw Gaussian noise
by the framework's own generator (or NumPy's), answer it, and sum decisions by one matrix product;
the pass draws the documented noise and sums four responses. They take turns in one process, and
what is printed is the ratio of their speeds.
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from reverse_correlation.backend import import_tensorflow_quietly  # noqa: E402

import_tensorflow_quietly()

import numpy as np  # noqa: E402
import onnx_files  # noqa: E402
import onnxruntime  # noqa: E402
import torch  # noqa: E402
from onnx import helper  # noqa: E402
from throughput import rate  # noqa: E402
from torch_loop import BATCH, network  # noqa: E402

from reverse_correlation import WhiteNoise, observers  # noqa: E402
from reverse_correlation.passes.noise_pass import NoisePass  # noqa: E402


def torch_loop(net):
    """One batch in inference mode, with one matrix product for the sums."""
    sums = torch.zeros(10, 784)

    @torch.inference_mode()
    def step():
        x = 0.5 + 0.289 * torch.randn(BATCH, 1, 28, 28)
        decided = torch.nn.functional.one_hot(net(x).argmax(dim=1), 10).float()
        sums.add_(decided.T @ x.view(BATCH, -1))

    return step, BATCH


def onnx_loop(path):
    """The same by NumPy and ONNX Runtime."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    rng, sums = np.random.default_rng(0), np.zeros((10, 784), np.float32)
    name = session.get_inputs()[0].name

    def step():
        x = 0.5 + np.float32(0.289) * rng.standard_normal((BATCH, 1, 28, 28), np.float32)
        answers = session.run(None, {name: x})[0].argmax(axis=1)
        sums[:] += np.eye(10, dtype=np.float32)[answers].T @ x.reshape(BATCH, -1)

    return step, BATCH


def passed(observer):
    """Return what computes a shard of our pass, and its number of images."""
    work = NoisePass(observer, WhiteNoise())
    return lambda: work.shard_sums(0), work.shard_images


def as_onnx(net, path):
    """Write the paper's net as an ONNX file."""
    weights = [p.detach().numpy() for p in net.parameters()]
    constants = {f"p{i}": w.T.copy() if w.ndim == 2 else w for i, w in enumerate(weights)}
    nodes, last = [], "images"

    def add(kind, *given, **kwargs):
        nonlocal last
        nodes.append(helper.make_node(kind, [last, *given], [f"x{len(nodes)}"], **kwargs))
        last = f"x{len(nodes) - 1}"

    for i in (0, 2):
        add("Conv", f"p{i}", f"p{i + 1}")
        add("Relu")
        add("MaxPool", kernel_shape=[2, 2], strides=[2, 2])
    add("Flatten")
    add("Gemm", "p4", "p5")
    add("Relu")
    add("Gemm", "p6", "p7")
    return onnx_files.save(path, nodes, constants, ["n", 1, 28, 28], last)


def main():
    """Print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    torch.manual_seed(0)
    net = network().eval()
    path = Path(__file__).with_name("paper.onnx.part")
    try:
        pairs = {
            "PyTorch": (passed(observers.torch(net)), torch_loop(net)),
            "ONNX": (passed(observers.onnx(as_onnx(net, path))), onnx_loop(path)),
        }
        for name, (ours, loop) in pairs.items():
            ratios = []
            for _ in range(args.rounds):
                speeds = rate(*ours, args.seconds), rate(*loop, args.seconds)
                ratios.append(speeds[0] / speeds[1])
            low, middle, high = np.quantile(ratios, [0, 0.5, 1])
            print(
                f"{name}: pass {speeds[0]:,.0f}, loop {speeds[1]:,.0f} images/s; ratio "
                f"{middle:.2f} ({low:.2f} to {high:.2f})"
            )
    finally:
        path.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
