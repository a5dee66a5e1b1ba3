"""The paper's net in PyTorch: a loop as in the notebooks, and one written well.

python benchmarks/torch_loop.py notebook 10    # images/s over ten seconds
python benchmarks/torch_loop.py careful 10
"""

import sys
import time

import torch
from torch import nn

BATCH = 1000


def network():
    """Return the MNIST net of Borji and Lin."""
    return nn.Sequential(
        nn.Conv2d(1, 20, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(20, 50, 5), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(800, 500), nn.ReLU(), nn.Linear(500, 10),
    )  # fmt: skip


def notebook(net, sums, counts):
    """One batch, as in the notebooks: sort the noise by its answer, class by class."""
    with torch.no_grad():
        x = torch.rand(BATCH, 1, 28, 28)
        answers = net(x).argmax(dim=1)
        for k in range(10):
            sums[k] += x[answers == k].sum(dim=0)
            counts[k] += (answers == k).sum()


def careful(net, sums, counts):
    """One batch in inference mode, with one matrix product for the sums."""
    with torch.inference_mode():
        x = torch.rand(BATCH, 1, 28, 28)
        decided = nn.functional.one_hot(net(x).argmax(dim=1), 10).float()
        sums += (decided.T @ x.view(BATCH, -1)).view(10, 1, 28, 28)
        counts += decided.sum(dim=0)


def main(which, seconds):
    """Print images/s."""
    net, step = network().eval(), {"notebook": notebook, "careful": careful}[which]
    sums, counts = torch.zeros(10, 1, 28, 28), torch.zeros(10)
    for _ in range(3):
        step(net, sums, counts)
    batches, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        step(net, sums, counts)
        batches += 1
    print(BATCH * batches / (time.perf_counter() - started))


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
