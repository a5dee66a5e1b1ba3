"""A backend is chosen before Keras is imported, oneDNN is asked for, and the record says so."""

import warnings
from types import SimpleNamespace

import pytest

import reverse_correlation
from reverse_correlation import UserError, backend


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


@pytest.fixture
def fresh(monkeypatch, tmp_path):
    """As before Keras is imported, with no configuration of the user's."""
    monkeypatch.delitem(backend.sys.modules, "keras")
    monkeypatch.setenv(backend.BACKEND, "")  # so that what `choose` sets is taken back
    monkeypatch.delenv(backend.BACKEND)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    installed = {"torch", "jax"}
    monkeypatch.setattr(backend.importlib.util, "find_spec", lambda name: name in installed or None)
    return SimpleNamespace(installed=installed, folder=tmp_path, env=monkeypatch.setenv)


def test_keras_computes_with_the_first_framework_that_is_installed(fresh):
    backend.choose()
    assert backend.chosen() == backend.os.environ[backend.BACKEND] == "torch"


def test_a_users_variable_and_configuration_win(fresh):
    (fresh.folder / "keras.json").write_text('{"backend": "jax"}')
    backend.choose()
    assert backend.BACKEND not in backend.os.environ and backend.chosen() == "jax"
    fresh.env(backend.BACKEND, "torch")
    backend.choose()
    assert backend.chosen() == "torch"
    backend.refuse_none()


def test_what_keras_already_computes_with_wins(fresh, monkeypatch):
    said = SimpleNamespace(backend=SimpleNamespace(backend=lambda: "jax"))
    monkeypatch.setitem(backend.sys.modules, "keras", said)
    backend.choose()
    assert backend.BACKEND not in backend.os.environ and backend.chosen() == "jax"


def test_a_configuration_that_names_what_is_not_installed_does_not_count(fresh):
    (fresh.folder / "keras.json").write_text('{"backend": "tensorflow"}')  # as Keras writes it
    backend.choose()
    assert backend.chosen() == "torch"


def test_without_any_framework_a_sentence_says_what_to_install(fresh):
    fresh.installed.clear()
    backend.choose()
    with pytest.raises(UserError, match=r"none of tensorflow, torch, jax is installed: pip instal"):
        backend.import_quietly()
    with pytest.raises(UserError, match="none of tensorflow, torch, jax is installed"):
        reverse_correlation.measure  # noqa: B018
    assert reverse_correlation.FileError
    fresh.env(backend.BACKEND, "numpy")
    with pytest.raises(UserError, match="with 'numpy', which cannot show noise: set KERAS_BACKEND"):
        backend.import_quietly()
    fresh.env(backend.BACKEND, "jax")
    with pytest.raises(UserError, match="KERAS_BACKEND asks for jax, which is not installed"):
        backend.import_quietly()
