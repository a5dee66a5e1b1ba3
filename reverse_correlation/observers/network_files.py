"""Networks in files: `.keras`, old `.h5` and `.onnx`. No code from a file is ever run."""

import importlib
import sys
import zipfile
from pathlib import Path

import h5py
import keras

from reverse_correlation.errors import UserError
from reverse_correlation.files import DAMAGED, read_json, refuse_bombs
from reverse_correlation.observers.as_shown import channels_last, in_colours, of_full_size
from reverse_correlation.observers.file_formats import called, format_of
from reverse_correlation.observers.keras_networks import Network
from reverse_correlation.observers.observer import known_kind
from reverse_correlation.observers.onnx_files import onnx

LONGEST_CONFIGURATION = 2**24  # characters
# what is not code in a configuration
DATA = "__tuple__ __keras_tensor__ __tensor__ __slice__ __ellipsis__ __numpy__".split()
# Keras's own layers that run code, or read files, named in their configuration
REFUSED = """
    Lambda TorchModuleWrapper TFSMLayer JaxLayer FlaxLayer
    TextVectorization StringLookup IntegerLookup
""".split()
HOMES = (
    keras.layers,
    keras.initializers,
    keras.regularizers,
    keras.constraints,
    keras.optimizers,
    keras.optimizers.schedules,
    keras.losses,
    keras.metrics,
    keras.dtype_policies,
    keras.quantizers,
)
FUNCTIONS = ("keras", "builtins", "keras.activations", "keras.losses", "keras.metrics")


def load_any_network(path, channels=None, output=None):
    """Read a `.keras`, `.h5` or `.onnx` file: a Keras model, or an Observer of an ONNX file.

    The configuration of a network is checked before Keras sees it: it may name layers of Keras's
    own that run no code, and from a `.keras` file also registered classes and functions, which
    are looked for in modules of the current folder, too. Keras's safe mode alone lets a file call
    many of its functions, and did not cover `.h5` files for a long time.

    Args:
        path: of the file, whose content tells which of them it is.
        channels: "first" or "last", for an ONNX file whose shape does not tell.
        output: name of the output that answers, for an ONNX file of several.

    Raises:
        UserError: if the file is missing, damaged, of another format, or needs other classes.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"there is no file {path}: name a network saved as .keras, .onnx or .h5")
    suffix = format_of(path)
    if suffix == ".onnx":
        return onnx(path, channels, output=output)
    if suffix == ".h5":
        _refuse_foreign_classes(path, suffix, _h5_configuration(path), {})
    elif not zipfile.is_zipfile(path):
        raise UserError(
            f"{path} is not a whole .keras archive: it is truncated or has another format (pickles "
            "are never opened); save the network again with model.save('x.keras')"
        )
    else:
        config = _archive_configuration(path)
        _import_classes_beside(config)
        _refuse_foreign_classes(path, suffix, config, keras.saving.get_custom_objects())
    try:
        with called(path, suffix) as named:
            model = keras.saving.load_model(named, compile=False, safe_mode=True)
    except Exception as error:  # a damaged archive can make any layer fail
        reason = " ".join(str(error).split())[:160]
        raise UserError(f"{path} cannot be read as a Keras network: {reason}") from error
    if not isinstance(model, keras.Model):
        raise UserError(f"{path} holds a {type(model).__name__}, not a network: save the network")
    return model


def read_observer(
    path,
    channels="",
    means=(),
    deviations=(),
    output="",
    size=(),
    otherwise=(),
    colours="rgb",
    labels="",
):
    """Read the file of an observer: an Observer that has not been shown anything yet.

    Args:
        path: as for `load_any_network`.
        channels: "first" or "last", where the file does not tell, or tells it wrongly.
        means, deviations: what is subtracted from each channel before the observer sees it, and
            what the difference is divided by: one number per channel, or one for all; empty to
            leave images as they are. Channels are in the order that the observer expects.
        output: name of the output that answers, for an ONNX file of several.
        size: (h, w) of the images, of an observer that takes any; or ().
        otherwise: (h, w) where no size is asked for; or ().
        colours: "rgb" or "bgr", the order that the observer expects. It is shown RGB, which is
            reversed before it sees it.
        labels: "independent" or "exclusive", if the file does not tell; see `Observer.label_kind`.

    Raises:
        UserError: as for `load_any_network`; or if its images have no size, another size, or
            another number of channels.
    """
    path = Path(path)
    model = load_any_network(path, channels or None, output or None)
    if isinstance(model, keras.Model):
        if output:
            raise UserError(f"--output is for ONNX files: leave it out for {path}")
        model = channels_last(model, path, channels, size, otherwise)
        model = Network(in_colours(model, path.name, colours), name=path.stem)
    else:
        model.shape = of_full_size(path.name, model.answer.taken, size, otherwise)
        model = in_colours(model, path.name, colours)
    model.label_kind = known_kind(labels) or model.label_kind
    if colours == "bgr":  # the image is normalised before its channels are reversed
        means, deviations = means[::-1], deviations[::-1]
    for flag, values in (("mean", means), ("std", deviations)):
        if len(values) not in (0, 1, model.shape[2]):
            raise UserError(
                f"--input-{flag} has {len(values)} numbers, but {path.name} takes "
                f"{model.shape[2]} channel{'s' if model.shape[2] > 1 else ''}: give as many, or "
                "one for all"
            )
    return model.normalised(means, deviations) if len(means) else model


def _archive_configuration(path):
    """Return the configuration of the network in a .keras file, as JSON holds it."""
    try:
        with zipfile.ZipFile(path) as archive:
            refuse_bombs(archive)
            config = read_json(archive.read("config.json"), LONGEST_CONFIGURATION)
            return {**config, "compile_config": None}  # which is not read
    except DAMAGED as error:
        raise UserError(f"{path} cannot be read as a Keras network: {error}") from error


def _import_classes_beside(config):
    """Import the modules of the current folder that define registered classes of a configuration.

    No other modules, whatever the file names: only those whose text registers a class.
    """
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
    level = [config] if isinstance(config, (dict, list)) else []
    while level:
        yield from (part for part in level if isinstance(part, dict))
        inner = [part.values() if isinstance(part, dict) else part for part in level]
        inside = [part for parts in inner for part in parts]
        level = [part for part in inside if isinstance(part, (dict, list))]


def _h5_configuration(path):
    """Return the configuration of the network in an HDF5 file, as JSON holds it."""
    try:
        with h5py.File(path, "r") as file:
            return read_json(file.attrs["model_config"], LONGEST_CONFIGURATION)
    except KeyError as error:
        raise UserError(
            f"{path} holds weights but no network: build the network, load the weights, and save "
            "it as .keras"
        ) from error
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is not a whole HDF5 file of a network: {error}") from error


def _refuse_foreign_classes(path, suffix, config, registered):
    """Raise UserError if any object in a configuration is neither Keras's own nor registered.

    Everything that Keras would look up or import by name has that name as its `class_name`.

    Args:
        path, suffix, config: of the file: its format, and what it holds.
        registered: {name: class or function}.
    """
    for part in _objects_in(config):
        name = part.get("class_name")
        if name is None or _is_own(name, part) or _is_registered(name, part, registered):
            continue
        if name == "Lambda" and suffix != ".h5":
            raise UserError(
                f"{path} has a Lambda layer, whose code is not run: write it as a registered layer"
            )
        if suffix == ".h5" or not _can_be_registered(name, part):
            raise UserError(
                f"{path} has {str(name)[:80]!r} in it, which is not one of Keras's own layers that "
                "can be read safely: nothing of it was run; save the network as .keras, with "
                "registered classes"
            )
        raise UserError(
            f"{path} cannot be read as a Keras network: it needs the custom object {name[:80]!r}, "
            "which no module of the current folder registers; decorate it with "
            "@keras.saving.register_keras_serializable(), and run this in the folder of its module "
            "(from Python, import that first)"
        )


def _is_own(name, config):
    """Return whether an object of a configuration is Keras's own and does not run code from it."""
    module = config.get("module") or "keras"
    if not isinstance(name, str) or not isinstance(module, str):
        return False
    if name in DATA:
        return True
    if module not in ("keras", "builtins") and not module.startswith("keras."):
        return False
    if name == "function":
        function = config.get("config")
        return module in FUNCTIONS and isinstance(function, str) and function in _functions()
    if name in ("Sequential", "Functional", "Model", "DTypePolicy", "Policy"):
        return True
    if module.startswith("keras.src.ops."):  # as keras.ops.sigmoid is saved
        found = getattr(sys.modules.get(module), name, None)
        return isinstance(found, type) and issubclass(found, keras.Operation)
    return name not in REFUSED and any(isinstance(getattr(h, name, None), type) for h in HOMES)


def _functions():
    """Return the names of the activations, losses and metrics that are functions of arrays."""
    homes = (keras.activations, keras.losses, keras.metrics)
    named = {name for home in homes for name, found in vars(home).items() if callable(found)}
    return named - {"get", "serialize", "deserialize"}


def _is_registered(name, config, registered):
    """Return whether Keras would look up an object of a configuration among registered ones."""
    if not _can_be_registered(name, config):
        return False
    known = config.get("config" if name == "function" else "registered_name")
    return isinstance(known, str) and known in registered


def _can_be_registered(name, config):
    """Return whether an object of a configuration may be one that a user's module registers."""
    if not isinstance(name, str) or name.startswith("__") or name in REFUSED:
        return False
    module = config.get("module")
    return module is None or isinstance(module, str) and module.split(".")[0] != "keras"
