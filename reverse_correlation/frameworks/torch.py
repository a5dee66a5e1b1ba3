"""PyTorch: block by block on the device, without gradients except where they are asked for."""

import contextlib

import keras
import numpy as np
import torch

from reverse_correlation.frameworks import eager, philox

NAME, VERSION = "torch", torch.__version__
shard_of, where = eager.shard_of, eager.where


def _device():
    """Return the device on which Keras puts tensors now."""
    return keras.ops.zeros(()).device


def uniform(seed, second, shape, start=None):
    """Draw uniform numbers on [0, 1)."""
    drawn = _integers(seed, second, start or 0, int(np.prod(shape)))
    return (drawn & philox.MANTISSA).to(torch.float32).mul_(philox.STEP).reshape(shape)


def words(seed, second, shape):
    """Draw random integers."""
    drawn = _integers(seed, second, 0, int(np.prod(shape)))
    return drawn.to(torch.int32).reshape(shape)  # the upper half wraps to negative ones


def _integers(seed, second, start, numbers):
    """Draw integers where tensors live; on a CPU by NumPy, which takes half of PyTorch's time."""
    if _device().type == "cpu":
        return torch.from_numpy(philox.on_the_host(seed, second, int(start), numbers))
    places = torch.arange(philox.groups(numbers), device=_device()) + int(start)
    four = philox.integers(seed, second, places)
    return torch.stack(four, dim=-1).reshape(-1)[:numbers]


def filtered(images, gain, added=None):
    """Return images with each frequency multiplied by its gain."""
    spectrum = torch.fft.rfft2(images)
    spectrum *= torch.as_tensor(gain, dtype=images.dtype, device=images.device)
    if added is not None:
        spectrum += torch.complex(*added)
    return torch.fft.irfft2(spectrum, images.shape[-2:])


def product(a, b):
    """Return a matrix product whose factors are not rounded."""
    if a.device.type != "cpu" and torch.get_float32_matmul_precision() != "highest":
        return (a.double() @ b.double()).float()
    return a @ b


def filter_sums(stimuli, activity, shape, strides):
    """Sum activity times the patch under it."""
    height, width, channels, filters = shape
    summed = torch.nn.grad.conv2d_weight(
        stimuli.permute(0, 3, 1, 2),
        (filters, channels, height, width),
        activity.permute(0, 3, 1, 2),
        stride=tuple(strides),
    )
    return summed.permute(2, 3, 1, 0)


def column_gradients(function, x):
    """Return function(x), and the gradients of the sum of each column."""
    x = x.detach().requires_grad_()
    with torch.enable_grad():
        answers = function(x)
        totals = answers.sum(dim=0)
    found = [torch.autograd.grad(total, x, retain_graph=True)[0] for total in totals]
    return answers.detach(), torch.stack(found)


def compiled(function):
    """Return a function as it is: PyTorch compiles nothing here."""
    return function


as_graph = compiled


@contextlib.contextmanager
def inference(device=None):
    """Return a context in which networks answer."""
    with torch.no_grad(), keras.device(device) if device else contextlib.nullcontext():
        yield


def double():
    """Return a context in which float64 arrays stay so."""
    return contextlib.nullcontext()


def use_threads(count):
    """Compute with so many threads."""
    torch.set_num_threads(count)
