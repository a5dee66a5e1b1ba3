"""oneDNN is asked for before TensorFlow is imported, and the record says what was used."""

import warnings

import pytest

from reverse_correlation import backend


@pytest.fixture
def variable(monkeypatch):
    monkeypatch.delenv(backend.ONEDNN, raising=False)
    return monkeypatch


def test_onednn_is_asked_for_and_a_users_own_setting_wins(variable):
    variable.delitem(backend.sys.modules, "tensorflow")
    backend.use_onednn()
    assert backend.os.environ[backend.ONEDNN] == "1" and backend.machine()["onednn"]
    variable.setenv(backend.ONEDNN, "0")
    backend.use_onednn()
    assert backend.os.environ[backend.ONEDNN] == "0" and not backend.machine()["onednn"]


def test_imported_after_tensorflow_it_says_what_is_lost(variable):
    variable.setattr(backend, "_has_vnni", lambda: False)
    with pytest.warns(UserWarning, match="two to four times as long"):
        backend.use_onednn()
    assert not backend.machine()["onednn"]


def test_where_tensorflow_uses_onednn_by_itself_nothing_is_said(variable):
    variable.setattr(backend, "_has_vnni", lambda: True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        backend.use_onednn()
    assert backend.machine()["onednn"]


def test_the_instruction_set_is_named_and_its_limit_too(monkeypatch):
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert backend.machine()["instructions"].endswith("AVX2")
