"""Networks in files: `.keras`, old `.h5` and `.onnx`. No code from a file is ever run."""

import importlib
import json
import sys
import zipfile
from pathlib import Path

import h5py
import keras

from reverse_correlation.errors import UserError
from reverse_correlation.observers.graphs import image_shape
from reverse_correlation.observers.keras_networks import Network
from reverse_correlation.observers.observer import known_kind
from reverse_correlation.observers.onnx_files import onnx

H5 = (".h5", ".hdf5")
DATA = ("__tuple__", "__keras_tensor__", "__slice__", "__ellipsis__", "__numpy__")  # not code
# Keras's own layers that run code, or read files, named in their configuration
REFUSED = """
    Lambda TorchModuleWrapper TFSMLayer JaxLayer FlaxLayer
    TextVectorization StringLookup IntegerLookup
""".split()


def load_any_network(path, channels=None):
    """Read a `.keras`, `.h5` or `.onnx` file: a Keras model, or an Observer of an ONNX file.

    From a `.keras` file, only registered layers are run; from an `.h5` file, only Keras's own. The
    configuration of an `.h5` file is checked first, since Keras's safe mode did not cover such
    files for a long time. Registered classes are also looked for in modules of the current folder.

    Args:
        path: of the file; it ends in .keras, .h5, .hdf5 or .onnx.
        channels: "first" or "last", for an ONNX file whose shape does not tell.

    Raises:
        UserError: if the file is missing, damaged, of another format, or needs other classes.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"there is no file {path}: name a network saved as .keras, .onnx or .h5")
    if path.suffix == ".onnx":
        return onnx(path, channels)
    if path.suffix not in (".keras", *H5):
        raise UserError(
            f"{path} is not a file of a network that can be read: name one saved as .keras, .onnx "
            "or .h5 (a measurement, .npz, is for compare)"
        )
    if path.suffix in H5:
        _refuse_foreign_classes(path, _h5_configuration(path))
    elif not zipfile.is_zipfile(path):
        raise UserError(
            f"{path} is not a whole .keras archive: it is truncated or has another format (pickles "
            "are never opened); save the network again with model.save('x.keras')"
        )
    else:
        _import_classes_beside(path)
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # a damaged archive can make any layer fail
        reason = _why(" ".join(str(error).split()))
        raise UserError(f"{path} cannot be read as a Keras network: {reason}") from error


def read_observer(path, channels="", means=(), deviations=(), labels=""):
    """Read the file of an observer: an Observer that has not been shown anything yet.

    Args:
        path: as for `load_any_network`.
        channels: "first" or "last", for an ONNX file whose shape does not tell.
        means, deviations: what is subtracted from each channel before the observer sees it, and
            what the difference is divided by: one number per channel, or one for all; empty to
            leave images as they are.
        labels: "independent" or "exclusive", if the file does not tell; see `Observer.label_kind`.

    Raises:
        UserError: as for `load_any_network`; or if the observer takes images of any size, or has
            another number of channels.
    """
    path = Path(path)
    model = load_any_network(path, channels or None)
    if isinstance(model, keras.Model):
        image_shape(model)  # refuses a model that does not take images of one size
        model = Network(model, name=path.stem)
    model.label_kind = known_kind(labels) or model.label_kind
    if model.shape is None:
        raise UserError(
            f"{path} takes images of any size: fix the size, for example with python -m "
            "onnxruntime.tools.make_dynamic_shape_fixed --input_name INPUT --input_shape "
            "1,3,224,224"
        )
    for flag, values in (("mean", means), ("std", deviations)):
        if len(values) not in (0, 1, model.shape[2]):
            raise UserError(
                f"--input-{flag} has {len(values)} numbers, but {path.name} takes "
                f"{model.shape[2]} channel{'s' if model.shape[2] > 1 else ''}: give as many, or "
                "one for all"
            )
    return model.normalised(means, deviations) if len(means) else model


def _import_classes_beside(path):
    """Import the modules of the current folder that define registered classes of a .keras file.

    No other modules, whatever the file names: only those whose text registers a class.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read("config.json"))
    except (KeyError, ValueError, zipfile.BadZipFile):
        return  # Keras says what is wrong
    named = [part.get("module") for part in _objects_in(config) if part.get("registered_name")]
    for name in sorted({name for name in named if isinstance(name, str)} - sys.modules.keys()):
        if not all(part.isidentifier() for part in name.split(".")):
            continue
        file = Path(*name.split(".")).with_suffix(".py")
        if file.is_file() and "register_keras_serializable" in file.read_text(encoding="utf-8"):
            before = list(sys.path)
            sys.path.insert(0, "")
            try:
                importlib.import_module(name)
            finally:
                sys.path[:] = before


def _objects_in(config):
    """Yield every dictionary in a configuration, the outer ones first."""
    if isinstance(config, dict):
        yield config
        config = list(config.values())
    if isinstance(config, list):
        for part in config:
            yield from _objects_in(part)


def _h5_configuration(path):
    """Return the configuration of the network in an HDF5 file, as JSON holds it."""
    try:
        with h5py.File(path, "r") as file:
            return json.loads(file.attrs["model_config"])
    except KeyError as error:
        raise UserError(
            f"{path} holds weights but no network: build the network, load the weights, and save "
            "it as .keras"
        ) from error
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is not a whole HDF5 file of a network: {error}") from error


def _refuse_foreign_classes(path, config):
    """Raise UserError if any object in a configuration is not one of Keras's own.

    Everything that Keras would look up or import by name has that name as its `class_name`.
    """
    for part in _objects_in(config):
        name = part.get("class_name")
        if name is not None and not _is_own(name, part):
            raise UserError(
                f"{path} has {name!r} in it, which is not one of Keras's own layers that can be "
                "read safely: nothing of it was run; save the network as .keras, with registered "
                "classes"
            )


def _is_own(name, config):
    """Return whether an object of a configuration is Keras's own and does not run code from it."""
    module = config.get("module") or "keras"
    if name in DATA:
        return True
    if module not in ("keras", "builtins") and not module.startswith("keras."):
        return False
    if name == "function":  # an activation
        activation = config.get("config")
        return isinstance(activation, str) and hasattr(keras.activations, activation)
    if name in ("Sequential", "Functional", "Model", "DTypePolicy", "Policy"):
        return True
    homes = (keras.layers, keras.initializers, keras.regularizers, keras.constraints)
    return name not in REFUSED and any(isinstance(getattr(h, name, None), type) for h in homes)


def _why(reason):
    """Say in a few words why Keras could not load a network."""
    if "Could not locate class" in reason:
        name = reason.split("Could not locate class")[1].split("'")[1]
        return (
            f"it needs the custom object {name!r}, which no module of the current folder "
            "registers; decorate it with @keras.saving.register_keras_serializable(), and run this "
            "in the folder of its module (from Python, import that first)"
        )
    if "Lambda" in reason and "safe" in reason:
        return "it has a Lambda layer, whose code is not run; write it as a registered layer"
    return reason[:160]
