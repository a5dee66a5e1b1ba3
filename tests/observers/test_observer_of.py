"""What is not an observer is refused in a sentence; what is one says in a line what it is."""

import keras
import numpy as np
import pytest
from small_observers import observer

from reverse_correlation import Network, UserError, WhiteNoise, measure, observers
from reverse_correlation.observers.observer_of import observer_of

NOISE = WhiteNoise(shape=(4, 4, 1))


@pytest.mark.parametrize(
    "model, said",
    [
        (("a", "tuple"), "type tuple cannot be shown images: pass a Keras model, a function"),
        (None, "type NoneType cannot be shown images"),
        ("net.onnx", "type str cannot be shown images"),
        (keras.Sequential, r"Sequential is a class, not a network: pass .* Sequential\(...\)"),
    ],
)
def test_what_cannot_be_shown_images_is_refused(model, said):
    with pytest.raises(UserError, match=said):
        measure(model, NOISE, 10, progress=False)


def test_a_bare_torch_module_is_refused_with_what_to_pass():
    torch = pytest.importorskip("torch")
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 2)).eval()
    with pytest.raises(UserError, match=r"a PyTorch module.*: pass observers.torch\(module.eval"):
        measure(module, NOISE, 10, progress=False)
    assert measure(observers.torch(module), NOISE, 10, progress=False).count == 10


@pytest.mark.parametrize("classes", [(3, 7), [3], np.array([3, 7])])
def test_classes_says_how_many_and_only_says_which(classes):
    with pytest.raises(UserError, match="classes says how many there are: .* give only="):
        measure(observer(np.ones((4, 4, 1, 9))), NOISE, 10, progress=False, classes=classes)


def test_an_observer_says_in_a_line_what_it_is():
    network = observer(np.eye(16).reshape(4, 4, 1, 16)[..., :3])
    assert repr(Network(network)) == "<Network 'observer': images of (4, 4, 1), 3 classes>"
    function = observers.function(lambda images: images[:, 0, :, 0], "rows")
    assert repr(function) == "<ArrayObserver 'rows': images of any shape>"
    seen = observer_of(function, NOISE, only=(2, 0))
    said = "<ArrayObserver 'rows': images of (4, 4, 1), 4 classes, 2 of them chosen>"
    assert repr(seen) == said
