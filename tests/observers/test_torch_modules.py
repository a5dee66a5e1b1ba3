"""PyTorch modules as their owners hand them over; skipped where PyTorch is not installed."""

import collections
import copy

import keras
import numpy as np
import pytest

from reverse_correlation import UserError, WhiteNoise, measure, observers

torch = pytest.importorskip("torch")
NOISE = WhiteNoise(shape=(6, 6, 3))
Output = collections.namedtuple("Output", "loss logits")


class OfLibrary:
    """Answers as those of a library are: an object with attributes."""

    def __init__(self, logits):
        self.logits, self.hidden = logits, logits[:, :1]


WAYS = {
    "logits": lambda z: z,
    "a tuple of one": lambda z: (z,),
    "a dictionary of one": lambda z: {"class": z},
    "a dictionary with logits": lambda z: {"loss": z.sum(), "logits": z},
    "a named tuple": lambda z: Output(None, z),
    "an object": OfLibrary,
    "(n, K, 1, 1)": lambda z: z[:, :, None, None],
}


class Net(torch.nn.Module):
    def __init__(self, way="logits"):
        super().__init__()
        torch.manual_seed(0)
        self.head, self.way = torch.nn.Linear(108, 4), way

    def forward(self, images):
        z = self.head(images.flatten(1))
        return (z, z[:, :2]) if self.way == "two" else WAYS[self.way](z)


def logits(module, **how):
    images = NOISE.draw(0, 0, 5).numpy()
    return observers.torch(module, **how).looked(NOISE).logits_of(images)


@pytest.mark.parametrize("way", WAYS)
def test_the_same_weights_answer_alike_in_whatever_they_are_wrapped(way):
    images = NOISE.draw(0, 0, 5).numpy()
    weights, bias = (p.detach().numpy() for p in Net().parameters())
    z = images.transpose(0, 3, 1, 2).reshape(5, -1) @ weights.T + bias
    assert np.allclose(logits(Net(way).eval()), z - z.mean(axis=1, keepdims=True), atol=1e-5)


@pytest.mark.parametrize("kind", ["half", "bfloat16", "double"])
def test_other_precisions_answer_alike_but_for_their_rounding(kind):
    other = getattr(copy.deepcopy(Net().eval()), kind)()
    assert np.allclose(logits(other), logits(Net().eval()), atol=0.02)


def test_modules_of_other_weights_settings_or_order_of_channels_are_other_observers():
    def module(seed, *between):
        torch.manual_seed(seed)
        return torch.nn.Sequential(torch.nn.Flatten(), *between, torch.nn.Linear(48, 2))

    different = [
        observers.torch(module(0)),
        observers.torch(module(1)),
        observers.torch(module(0, torch.nn.ReLU())),
        observers.torch(module(0, torch.nn.Tanh())),
        observers.torch(module(0), channels_first=False),
        observers.torch(module(0)).normalised(0.5, 0.2),
    ]
    assert len({each.sha256 for each in different}) == len(different)
    assert observers.torch(module(0)).sha256 == different[0].sha256


def test_modules_with_other_weights_are_told_apart_in_any_precision():
    nets = [Net().eval(), Net().eval().bfloat16(), Net().eval().bfloat16()]
    with torch.no_grad():
        nets[2].head.bias += 1
    digests = {observers.torch(net).sha256 for net in nets}
    assert len(digests) == 3 and observers.torch(Net().eval()).sha256 in digests


def test_of_several_outputs_one_is_chosen_by_name_or_place():
    with pytest.raises(UserError, match=r"answers 0 \(\d+, 4\), 1 \(\d+, 2\); choose one with out"):
        logits(Net("two").eval())
    assert logits(Net("two").eval(), output=1).shape == (5, 2)
    assert np.allclose(logits(Net("two").eval(), output=0), logits(Net().eval()))
    assert logits(Net("an object").eval(), output="hidden").shape == (5, 2)  # one column
    with pytest.raises(UserError, match="has no output 'age': it answers 0"):
        logits(Net("two").eval(), output="age")


@pytest.mark.parametrize(
    ("thing", "said"),
    [
        (Net().state_dict(), "holds weights, not a network: make the module, call load_state"),
        (lambda images: images, "function is not a torch.nn.Module: pass a function of arrays to"),
    ],
    ids=["state dict", "function"],
)
def test_what_is_not_a_module_is_refused_in_a_sentence(thing, said):
    with pytest.raises(UserError, match=said):
        observers.torch(thing)


TENSORS = pytest.mark.skipif(
    keras.backend.backend() != "torch", reason="Keras does not compute with PyTorch here"
)


@TENSORS
def test_noise_that_stays_on_the_device_gives_what_arrays_give(monkeypatch):
    module = observers.torch(Net().eval()).normalised([0.1, 0.2, 0.3], 0.5)
    arrays = observers.function(module.answer, "the same")
    as_arrays = measure(arrays, NOISE, 4096, progress=False, prediction_images=0)
    module = module.looked(NOISE)
    monkeypatch.setattr(type(module.on_device.module), "__call__", None)  # of arrays
    on_device = measure(module, NOISE, 4096, progress=False, prediction_images=0)
    for response, estimate in as_arrays.classes.items():
        ours = on_device.classes[response].covariance
        assert np.allclose(ours, estimate.covariance, atol=1e-6 * np.abs(ours).max()), response


@TENSORS
def test_what_stands_before_a_module_and_knows_arrays_alone_is_not_passed_over():
    module = observers.torch(Net().eval())
    assert module.looked(NOISE).responses() is not None and module.device == "cpu"
    behind = copy.copy(module)
    behind.answer = lambda images: module.answer(1 - images)
    assert behind.looked(NOISE).responses() is None and behind.device is None
    assert behind.normalised(0.5, 0.2).looked(NOISE).responses() is None
