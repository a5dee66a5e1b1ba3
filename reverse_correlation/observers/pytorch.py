"""PyTorch modules as observers."""

import functools
import hashlib

import numpy as np

from reverse_correlation.observers.arrays import ArrayObserver, library


def torch(module, channels_first=True, name=None, labels=""):
    """Return an Observer of a PyTorch module, which runs on the device of its parameters.

    Args:
        module: takes (n, c, h, w) and answers logits or probabilities (n, K). Its mode is left
            unchanged: call `module.eval()` yourself; a module in training mode is noticed.
        channels_first: False for a module that takes (n, h, w, c).
        name: by default that of its class.
        labels: "independent" or "exclusive", if the answers do not tell; see `Observer.label_kind`.

    Raises:
        UserError: if PyTorch is not installed.
    """
    library("torch", "PyTorch", "torch")
    digest = hashlib.sha256(repr(module).encode())
    for key, tensor in module.state_dict().items():
        digest.update(key.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    digest.update(str(channels_first).encode())
    answer = functools.partial(_answer, module, channels_first)
    name = name or type(module).__name__
    return ArrayObserver(answer, name, digest.hexdigest(), None, ["torch"], labels)


def _answer(module, channels_first, images):
    """Return a module's answers to images (n, h, w, c)."""
    torch = library("torch", "PyTorch", "torch")
    parameter = next(iter(module.parameters()), torch.zeros(()))
    if channels_first:
        images = images.transpose(0, 3, 1, 2)
    with torch.inference_mode():
        shown = torch.from_numpy(np.array(images, order="C"))
        shown = shown.to(device=parameter.device, dtype=parameter.dtype)
        return module(shown).float().cpu().numpy()
