"""PyTorch modules as observers."""

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
    name = name or type(module).__name__
    return ArrayObserver(
        _Module(module, channels_first), name, digest.hexdigest(), None, ["torch"], labels
    )


class _Module:
    """A function of images (n, h, w, c) to a module's answers."""

    def __init__(self, module, channels_first):
        self.module, self.channels_first = module, channels_first
        self.in_order = False  # whether memory must be in the order of the axes

    def __call__(self, images):
        torch = library("torch", "PyTorch", "torch")
        parameter = next(iter(self.module.parameters()), torch.zeros(()))
        shown = torch.from_numpy(np.array(images, order="C"))
        shown = shown.to(device=parameter.device, dtype=parameter.dtype)
        with torch.inference_mode():
            return self._answers(shown).float().cpu().numpy()

    def _answers(self, shown):
        """Return the answers to a tensor (n, h, w, c)."""
        if not self.channels_first:
            return self.module(shown)
        # channels stay last in memory, where a CPU convolves 1.4 to 1.9 times as fast
        shown = shown.permute(0, 3, 1, 2)
        if not self.in_order and shown.device.type == "cpu":
            try:
                return self.module(shown)
            except RuntimeError:  # as of `view`, or of whatever fails in either order
                answers = self.module(shown.contiguous())
                self.in_order = True
                return answers
        return self.module(shown.contiguous())
