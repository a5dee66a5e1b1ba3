"""A file that is not a measurement, or not a whole one: what is said of it, and what is advised."""

import json

import numpy as np
import pytest
from small_observers import observer

from reverse_correlation import (
    Ensemble,
    Measurement,
    PinkNoise,
    SinusoidNoise,
    UserError,
    WhiteNoise,
    measure,
    measure_choices,
)
from reverse_correlation.estimates.sums import read_sums, write_sums
from reverse_correlation.stimuli import null_images
from reverse_correlation.stimuli.catalogue import kept_fields, restored_ensemble


@pytest.fixture
def saved(tmp_path, rng):
    """The file of a measurement."""
    measurement = measure_choices(rng.choice([-1, 1], 40), WhiteNoise(shape=(4, 4, 1)))
    measurement.save(tmp_path / "saved.npz")
    return tmp_path / "saved.npz"


def test_what_takes_long_to_find_out_about_noise_is_kept_to_the_bit(tmp_path, rng, monkeypatch):
    """Of sinusoid patches on 32 pixels, some coordinates are orthogonal, and some are not."""
    network = observer(rng.normal(size=(32, 32, 1, 2)))
    measurement = measure(network, SinusoidNoise((32, 32, 1)), 4096, progress=False)
    measurement.save(tmp_path / "saved.npz")
    monkeypatch.delattr(null_images, "null_images")
    monkeypatch.delattr(Ensemble, "images")
    noise = restored_noise(tmp_path / "saved.npz")
    assert noise.null == measurement.noise.null and noise.threshold > 4
    assert np.array_equal(noise.orthogonal_power, measurement.noise.orthogonal_power)
    assert np.shape(noise.orthogonal_power) == (32, 32, 1)


def test_facts_about_noise_of_another_shape_are_found_out_again(rng):
    noise = PinkNoise((6, 6, 1))
    wrong = {"null": np.ones(4), "orthogonal_power": np.ones((2, 2))}
    restored = restored_ensemble("PinkNoise", {**kept_fields(noise), **wrong})
    assert restored.null == noise.null and restored.orthogonal_power == noise.orthogonal_power


def restored_noise(path):
    _, provenance, fields = read_sums(path)
    return restored_ensemble(provenance["noise"]["ensemble"], fields)


def no_file(path):
    path.unlink()


def a_folder(path):
    path.unlink()
    path.mkdir()


def text(path):
    path.write_text("participant,choice\n1,1\n")


def empty(path):
    path.write_bytes(b"")


def other_arrays(path):
    np.savez(path, x_train=np.zeros((2, 3)), y_train=np.zeros(2))


def a_record_without_levels(path):
    np.savez(path, provenance=json.dumps({"seed": 1}))


def a_record_that_is_no_json(path):
    np.savez(path, provenance="made in a hurry", weights=np.ones(3))


def arrays_of_other_names(path):
    np.savez(path, provenance=json.dumps({"levels": 1}), weights=np.ones(3))


def a_study(path):
    write_sums(path, [], {"seed": 0, "trials": 8, "noise": WhiteNoise().describe()})


def cut_off(path):
    path.write_bytes(path.read_bytes()[:-300])


def cut_off_early(path):
    path.write_bytes(path.read_bytes()[:200])


def one_bit_flipped(path):
    content = bytearray(path.read_bytes())
    content[content.rindex(b"\x93NUMPY") + 130] ^= 1  # of the last array, behind its 128 bytes
    path.write_bytes(content)


FOREIGN = [text, empty, other_arrays, a_record_without_levels, a_record_that_is_no_json]


@pytest.mark.parametrize("make", [no_file, a_folder])
def test_a_missing_measurement_is_said_to_be_missing(make, saved):
    make(saved)
    with pytest.raises(UserError, match="there is no file .*saved.npz: name a m") as refusal:
        Measurement.load(saved)
    assert "delete" not in str(refusal.value)


@pytest.mark.parametrize("make", [*FOREIGN, arrays_of_other_names, a_study])
def test_a_file_of_something_else_is_not_a_measurement_and_nobody_is_told_to_delete_it(make, saved):
    make(saved)
    with pytest.raises(UserError, match="saved.npz is not a measurement .*name a file") as refusal:
        Measurement.load(saved)
    assert "delete" not in str(refusal.value)


@pytest.mark.parametrize("damage", [cut_off, cut_off_early, one_bit_flipped])
def test_a_damaged_measurement_is_to_be_deleted(damage, saved):
    damage(saved)
    with pytest.raises(UserError, match="saved.npz is not a whole measurement.*: delete it"):
        Measurement.load(saved)


def test_whatever_byte_is_wrong_a_measurement_is_read_or_refused_in_a_sentence(saved):
    whole = saved.read_bytes()
    kept = Measurement.load(saved).provenance
    for place in range(0, len(whole), 41):
        saved.write_bytes(whole[:place] + bytes([whole[place] ^ 0x41]) + whole[place + 1 :])
        try:
            assert Measurement.load(saved).provenance == kept
        except UserError as refusal:
            assert str(saved) in str(refusal)
