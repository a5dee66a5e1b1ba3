"""Speed of observers other than Keras networks beside loops written by hand, in one run.

    pip install onnxruntime onnx torch
    python benchmarks/observers.py --seconds 5 --rounds 5
    python benchmarks/observers.py --imagenet    # with the packages of docs/imagenet.py

The paper's net, 1,000 images at once, in PyTorch and as an ONNX file. The loops draw Gaussian noise
by the framework's own generator (or NumPy's), answer it, and sum decisions by one matrix product;
the pass draws the documented noise and sums four responses. They take turns in one process, and
what is printed is the ratio of their speeds.

With --imagenet: pink noise about a photograph, 224 x 224 x 3, through EfficientNet-Lite0, as a
PyTorch module and as an ONNX file, eight classes measured, beside the same framework answering
images that lie ready. And what a call of `measure` costs beside its pass: the seconds of one of 192
images, less their share.
"""

import argparse
import functools
import resource
import sys
import time
from pathlib import Path

LARGE_BLOCK = 16  # images of 224 x 224 x 3 that lie ready
ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from reverse_correlation.backend import import_quietly  # noqa: E402

import_quietly()

import numpy as np  # noqa: E402
import onnx_files  # noqa: E402
import onnxruntime  # noqa: E402
import torch  # noqa: E402
from onnx import helper  # noqa: E402
from throughput import rate  # noqa: E402
from torch_loop import BATCH, network  # noqa: E402

from reverse_correlation import PinkNoise, WhiteNoise, measure, observers  # noqa: E402
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


def imagenet(path, seconds, rounds):
    """Print the ratios of a network of 1,000 classes, and what a call costs beside its pass.

    Args:
        path: where its ONNX file is written.
        seconds, rounds: as of the flags.
    """
    sys.path.insert(0, str(ROOT))
    from docs.imagenet import PHOTOGRAPHS, SHAPE, network, photograph

    file, classes = PHOTOGRAPHS["cat"]
    noise = PinkNoise(SHAPE, base=photograph(file), contrast=0.04)
    module, in_torch = network(0)
    example = torch.zeros(2, 3, *SHAPE[:2])
    torch.onnx.export(module, example, path, dynamo=False, dynamic_axes={"images": {0: "n"}},
                      input_names=["images"])  # fmt: skip
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    ready = (noise.draw(1, 0, LARGE_BLOCK).numpy() - np.float32(0.5)) / np.float32(0.5)
    ready = np.ascontiguousarray(ready.transpose(0, 3, 1, 2))

    @torch.inference_mode()
    def torch_alone():
        module(torch.from_numpy(ready))

    def onnx_alone():
        session.run(None, {"images": ready})

    in_onnx = observers.onnx(path).normalised((0.5,) * 3, (0.5,) * 3)
    for name, observer, alone in (
        ("PyTorch", in_torch, torch_alone),
        ("ONNX", in_onnx, onnx_alone),
    ):
        work = NoisePass(observer, noise, only=tuple(classes))
        images = 4 * work.block_images
        step = functools.partial(work.shard_sums, 0, images)
        ours = step, images
        compared(f"{name}, EfficientNet-Lite0", ours, (alone, LARGE_BLOCK), seconds, rounds)
        started = time.perf_counter()
        measure(observer, noise, 192, only=tuple(classes))
        whole = time.perf_counter() - started
        beside = whole - 192 / rate(*ours, seconds)
        print(f"{name}: measure of 192 images {whole:.1f} s, less their share {beside:.1f} s")
    print(f"memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GB")


def compared(name, ours, loop, seconds, rounds):
    """Print the ratio of our speed to a loop's, which take turns; each is (step, images)."""
    ratios = []
    for _ in range(rounds):
        speeds = rate(*ours, seconds), rate(*loop, seconds)
        ratios.append(speeds[0] / speeds[1])
    low, middle, high = np.quantile(ratios, [0, 0.5, 1])
    print(
        f"{name}: pass {speeds[0]:,.0f}, loop {speeds[1]:,.0f} images/s; ratio "
        f"{middle:.2f} ({low:.2f} to {high:.2f})"
    )


def main():
    """Print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--imagenet", action="store_true")
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
            compared(name, ours, loop, args.seconds, args.rounds)
        if args.imagenet:
            imagenet(path, args.seconds, args.rounds)
    finally:
        path.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
