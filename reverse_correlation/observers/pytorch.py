"""PyTorch modules as observers."""

import dataclasses
import functools
import hashlib
from collections.abc import Mapping

import keras
import numpy as np

from reverse_correlation.errors import UserError
from reverse_correlation.observers.arrays import ArrayObserver, library, one_row_an_image


def torch(module, channels_first=True, name=None, labels="", output=None):
    """Return an Observer of a PyTorch module, which runs on the device of its parameters.

    Args:
        module: takes (n, c, h, w) and answers logits or probabilities (n, K), by themselves, as the
            only one in a dictionary or tuple, or as `.logits` of an object. Its mode is left
            unchanged: call `module.eval()` yourself; a module in training mode is noticed.
        channels_first: False for a module that takes (n, h, w, c).
        name: by default that of its class.
        labels: "independent" or "exclusive", if the answers do not tell; see `Observer.label_kind`.
        output: which answer counts, if there are several: a key of the dictionary, a place in the
            tuple, or an attribute.

    Raises:
        UserError: if PyTorch is not installed, or this is not a module.
    """
    framework = library("torch", "PyTorch", "torch")
    if not isinstance(module, framework.nn.Module):
        raise UserError(_not_a_module(module))
    digest = hashlib.sha256(repr(module).encode())
    for key, value in module.state_dict().items():
        digest.update(key.encode() + _bytes_of(value))
    digest.update(f"{channels_first}{'' if output is None else output}".encode())
    name = name or type(module).__name__
    answer = _Module(module, channels_first, output)
    observer = ModuleObserver(answer, name, digest.hexdigest(), None, ["torch"], labels)
    observer.on_device = OnDevice(answer, answer.rows_of, answer)
    return observer


@dataclasses.dataclass(frozen=True)
class OnDevice:
    """What answers tensors as a function answers arrays."""

    answer: object  # the function of arrays
    rows_of: object  # the function of tensors (n, h, w, c): rows of float32
    module: object  # the _Module, which knows where it is now


class ModuleObserver(ArrayObserver):
    """A PyTorch module. Where Keras computes with PyTorch, too, noise never leaves its device."""

    on_device = None

    @property
    def _answers_tensors(self):
        """Whether it does: not if something was put before the module that knows arrays alone."""
        mine = self.on_device is not None and self.on_device.answer is self.answer
        return mine and keras.backend.backend() == "torch"

    @property
    def device(self):
        """Where its tensors live; None where Keras computes with something else."""
        return str(self.on_device.module.device) if self._answers_tensors else None

    def responses(self, layers=(), precision="float32"):
        """Return a function of (images, training) that answers tensors; see Observer."""
        super().responses(layers, precision)
        return self._responses if self._answers_tensors and not self.labels else None

    def _responses(self, images, training=False):
        at_once = self.images_that_fit() if self.device == "cpu" else len(images)
        rows = [self.on_device.rows_of(part) for part in images.split(at_once)]
        rows = rows[0] if len(rows) == 1 else keras.ops.concatenate(rows)
        self.refuse_columns(rows.shape[1])
        return {"logits": self._reading.logits(rows, keras.ops)}

    def normalised(self, means, deviations):
        """Return the observer that is shown (image - mean) / deviation; see Observer."""
        changed = super().normalised(means, deviations)
        if self.on_device is not None and self.on_device.answer is self.answer:
            means, deviations = (np.ravel(values).tolist() for values in (means, deviations))
            rows_of = functools.partial(_rows_normalised, self.on_device.rows_of, means, deviations)
            changed.on_device = OnDevice(changed.answer, rows_of, self.on_device.module)
        return changed


def _rows_normalised(rows_of, means, deviations, images):
    return rows_of((images - images.new_tensor(means)) / images.new_tensor(deviations))


def _not_a_module(thing):
    """Return the sentence for what is given in place of a module."""
    kind = type(thing).__name__
    if isinstance(thing, Mapping):
        return (
            f"{kind} holds weights, not a network: make the module, call load_state_dict with "
            "these, and pass module.eval()"
        )
    return f"{kind} is not a torch.nn.Module: pass a function of arrays to observers.function"


def _bytes_of(value):
    """Return the bytes of an entry of a state dict, which tell one from another."""
    torch = library("torch", "PyTorch", "torch")
    if isinstance(value, (tuple, list)):  # the weights and the bias of a quantised layer
        return b"".join(map(_bytes_of, value))
    if not isinstance(value, torch.Tensor):
        return repr(value).encode()
    value = value.detach().cpu()
    if value.is_quantized:
        return repr(value.dtype).encode() + _bytes_of(value.dequantize())
    return value.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


class _Module:
    """A function of images (n, h, w, c) to a module's answers."""

    def __init__(self, module, channels_first, output=None):
        self.module, self.channels_first, self.output = module, channels_first, output
        self.in_order = False  # whether memory must be in the order of the axes

    def __call__(self, images):
        torch = library("torch", "PyTorch", "torch")
        with torch.inference_mode():
            return self.rows_of(torch.from_numpy(np.array(images, order="C"))).cpu().numpy()

    @property
    def _parameter(self):
        """The first of its parameters, which tells device and precision."""
        torch = library("torch", "PyTorch", "torch")
        return next(iter(self.module.parameters()), torch.zeros(()))

    @property
    def device(self):
        """The device on which it is."""
        return self._parameter.device

    def rows_of(self, images):
        """Return the answers to a tensor (n, h, w, c), as float32, on the module's device."""
        parameter = self._parameter
        dtype = parameter.dtype if parameter.is_floating_point() else None
        shown = images.to(device=parameter.device, dtype=dtype)
        rows = _rows_of(self._answers(shown), self.output, type(self.module).__name__).float()
        return one_row_an_image(rows)

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


def _rows_of(answers, output, name):
    """Return the tensor among a module's answers that counts, the one named or the only one."""
    torch = library("torch", "PyTorch", "torch")
    if isinstance(answers, torch.Tensor) and output is None:
        return answers
    if isinstance(answers, Mapping):
        found = dict(answers)
    elif hasattr(answers, "_asdict"):
        found = answers._asdict()
    elif isinstance(answers, (tuple, list)):
        found = dict(enumerate(answers))
    else:
        found = {} if isinstance(answers, torch.Tensor) else vars(answers)
    found = {key: value for key, value in found.items() if isinstance(value, torch.Tensor)}
    if output is None and (len(found) == 1 or "logits" in found):
        return found["logits"] if "logits" in found else next(iter(found.values()))
    if output in found:
        return found[output]
    listed = ", ".join(f"{key!r} {tuple(value.shape)}" for key, value in found.items())
    asked = f"has no output {output!r}: it " if output is not None else ""
    raise UserError(
        f"the module {name!r} {asked}answers {listed or 'a tensor alone'}"
        + ("; choose one with output=" if listed else "; leave output out")
    )
