"""Speed of the pass where the network lives, as ratios within rounds of one run.

    KERAS_BACKEND=tensorflow python benchmarks/devices.py --beside OTHER_CHECKOUT
    KERAS_BACKEND=torch python benchmarks/devices.py

With TensorFlow: LeNet's and AlexNet's pass here, over that of another checkout of this repository,
each in a process of its own in every round. With PyTorch on the CPU: the pass of the paper's net
over a loop written by hand, which draws Gaussian pairs by PyTorch's own generator and sums the same
four responses. With PyTorch on a GPU: the pass over the network answering images that lie ready on
it, as many at once, for LeNet and for a network of ResNet-18's size (224 x 224 x 3, ten classes
measured), and the memory of both. Where there is no GPU, that is said.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(os.environ.get("CHECKOUT", Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(ROOT))

import reverse_correlation  # noqa: E402, F401  (it chooses what Keras computes with)

import keras  # noqa: E402  isort: skip
import numpy as np  # noqa: E402  isort: skip

from reverse_correlation import WhiteNoise, load_any_network, observers  # noqa: E402
from reverse_correlation.passes.noise_pass import NoisePass  # noqa: E402

LARGE = (224, 224, 3)
STAGES = ((64, 1), (128, 2), (256, 2), (512, 2))  # filters and stride, two blocks each


def rate(step, images, seconds, wait=lambda: None):
    """Return the images/s of a step of so many images, after two that are not counted."""
    for _ in range(2):
        step()
    wait()
    steps, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        step()
        wait()
        steps += 1
    return steps * images / (time.perf_counter() - started)


def passed(observer, noise, **how):
    """Return what computes a shard of our pass, its number of images, and how many at once."""
    work = NoisePass(observer, noise, **how)
    return lambda: work.shard_sums(0), work.shard_images, work.block_images


def one_pass(name, seconds):
    """Print images/s of a network's pass in this process, with whatever checkout it imports."""
    network = load_any_network(ROOT / "models" / f"mnist_{name}.keras")
    step, images, _ = passed(network, WhiteNoise())
    print(rate(step, images, seconds))


def beside(checkout, seconds, rounds):
    """Print the ratio of the pass here to that of another checkout, in turns."""
    for name in ("lenet", "alexnet"):
        ratios = []
        for turn in range(rounds):
            found = {}
            for place in (ROOT, checkout)[:: 1 if turn % 2 else -1]:
                command = [sys.executable, __file__, "--one", name, "--seconds", str(seconds)]
                environment = {**os.environ, "CHECKOUT": str(place)}
                done = subprocess.run(
                    command, env=environment, capture_output=True, text=True, check=True, cwd=place
                )
                found[place] = float(done.stdout.split()[-1])
            ratios.append(found[ROOT] / found[checkout])
        told(f"{name}: pass here / pass of {checkout.name}", ratios)


def told(what, ratios, more=""):
    """Print the median and the range of ratios."""
    low, high = min(ratios), max(ratios)
    print(f"{what}: {np.median(ratios):.2f} ({low:.2f} to {high:.2f}){more}", flush=True)


def loop_by_hand(net, device, batch):
    """Return a step of Gaussian pairs: four responses of ten classes, summed by one product."""
    import torch

    sums = torch.zeros(40, 784, device=device)

    @torch.inference_mode()
    def step():
        xi = torch.randn(batch // 2, 1, 28, 28, device=device)
        logits = net(torch.cat([0.5 + 0.289 * xi, 0.5 - 0.289 * xi]))
        decided = torch.nn.functional.one_hot(logits.argmax(dim=1), 10).float()
        logits = logits - logits.mean(dim=1, keepdim=True)
        answers = torch.cat([decided, logits.softmax(dim=1), logits], dim=1)
        odd = (answers[: batch // 2] - answers[batch // 2 :]) / 2
        odd = torch.cat([odd, odd[:, 20:].sign()], dim=1)
        sums.add_(odd.T @ xi.view(batch // 2, -1))

    return step


def of_resnet_size():
    """Return a residual network of ResNet-18's size and shape, with random weights."""
    import torch
    from torch import nn

    class Block(nn.Module):
        def __init__(self, taken, filters, stride):
            super().__init__()
            self.inner = nn.Sequential(
                nn.Conv2d(taken, filters, 3, stride, 1, bias=False), nn.BatchNorm2d(filters),
                nn.ReLU(), nn.Conv2d(filters, filters, 3, 1, 1, bias=False),
                nn.BatchNorm2d(filters),
            )  # fmt: skip
            same = taken == filters and stride == 1
            self.outer = nn.Identity() if same else nn.Conv2d(taken, filters, 1, stride)

        def forward(self, images):
            return torch.relu(self.inner(images) + self.outer(images))

    layers = [nn.Conv2d(3, 64, 7, 2, 3), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    taken = 64
    for filters, stride in STAGES:
        layers += [Block(taken, filters, stride), Block(filters, filters, 1)]
        taken = filters
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 1000))


def on_cpu(seconds, rounds):
    """Print the ratio of the pass of a PyTorch module to a loop written by hand."""
    from torch_loop import network

    net = network().eval()
    step, images, at_once = passed(observers.torch(net), WhiteNoise())
    by_hand, ratios = loop_by_hand(net, "cpu", at_once), []
    for _ in range(rounds):
        theirs = rate(by_hand, at_once, seconds)
        ratios.append(rate(step, images, seconds) / theirs)
    told("paper's net, PyTorch on the CPU: pass / loop by hand", ratios)


def on_gpu(seconds, rounds):
    """Print the ratio of the pass to the network answering images that lie ready on the GPU."""
    import torch
    from torch_loop import network

    if not torch.cuda.is_available():
        print("no GPU here that PyTorch can use: the pass on a GPU is not measured")
        return
    print(torch.cuda.get_device_name())
    large = {"noise": WhiteNoise(shape=LARGE, orthogonal=False), "only": tuple(range(10))}
    for title, net, how in (
        ("paper's net", network(), {"noise": WhiteNoise()}),
        ("a network of ResNet-18's size", of_resnet_size(), large),
    ):
        net = net.eval().to("cuda")
        step, images, at_once = passed(observers.torch(net), **how)
        height, width, channels = how["noise"].shape
        ready = torch.rand(at_once, channels, height, width, device="cuda")
        answer, ratios, memory = torch.inference_mode()(lambda net=net, x=ready: net(x)), [], []
        for _ in range(rounds):
            torch.cuda.reset_peak_memory_stats()
            theirs = rate(answer, at_once, seconds, torch.cuda.synchronize)
            memory.append(torch.cuda.max_memory_allocated() / 1e9)
            ratios.append(rate(step, images, seconds, torch.cuda.synchronize) / theirs)
            memory.append(torch.cuda.max_memory_allocated() / 1e9)
        more = f"; {at_once} at once, {theirs * ratios[-1]:,.0f} images/s, "
        more += f"{max(memory):.1f} GB (ready images: {memory[0]:.1f})"
        told(f"{title}: pass / ready images", ratios, more)


def main():
    """Read the flags and measure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--beside", type=Path, help="another checkout of this repository")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    flags = parser.parse_args()
    if flags.one:
        return one_pass(flags.one, flags.seconds)
    print(f"{keras.backend.backend()}, {flags.rounds} rounds of {flags.seconds:g} s")
    if flags.beside:
        beside(flags.beside.resolve(), flags.seconds, flags.rounds)
    if keras.backend.backend() == "torch":
        on_cpu(flags.seconds, flags.rounds)
        on_gpu(flags.seconds, flags.rounds)


if __name__ == "__main__":
    main()
