import keras
import numpy as np
import pytest

from alexnet import AlexNet
from lenet import LeNet

NAMES = {
    LeNet: "conv1 pool1 conv2 pool2 dense1 dense2 logits probabilities",
    AlexNet: "conv1 pool1 conv2 pool2 conv3 pool3 dense1 dense2 logits probabilities",
}


@pytest.mark.parametrize("network", [LeNet, AlexNet])
def test_layers_are_tappable_by_name_and_probabilities_come_out(network):
    net = network()
    assert isinstance(net, keras.Model)
    names = [layer.name for layer in net.layers]
    assert [name for name in NAMES[network].split() if name in names] == NAMES[network].split()
    images = np.random.default_rng(0).random((3, 28, 28, 1), np.float32)
    assert net.predict(images, verbose=0).sum(axis=1) == pytest.approx(1, abs=1e-5)
    tap = keras.Model(net.inputs, net.get_layer("conv1").output)
    assert tap.predict(images, verbose=0).min() == 0


@pytest.mark.parametrize("network", [LeNet, AlexNet])
def test_a_saved_network_answers_the_same(network, tmp_path):
    net = network((32, 30, 3), num_classes=4)
    net.save(tmp_path / "net.keras")
    images = np.random.default_rng(0).random((3, 32, 30, 3), np.float32)
    again = keras.saving.load_model(tmp_path / "net.keras", safe_mode=True)
    assert type(again) is network
    assert np.array_equal(net.predict(images, verbose=0), again.predict(images, verbose=0))


def test_lenet_has_the_papers_parameters():
    net = LeNet()
    assert net.count_params() == 61_706  # LeNet-5 with full connections from pool1 to conv2
    assert net.get_layer("conv2").output.shape == (None, 10, 10, 16)


def test_alexnet_stays_below_12_megaflop():
    flop = 0
    for layer in AlexNet().layers:
        if layer.weights:
            positions = np.prod(layer.output.shape[1:-1], dtype=int)
            flop += 2 * positions * np.prod(layer.kernel.shape)
    assert 10e6 < flop < 12e6
