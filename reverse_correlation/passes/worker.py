"""What a worker of a cluster is sent, and what it does.

A worker must have the packages that this one depends on. Everything else is sent by Dask's own
plugin for files, which also reaches workers that join later, before their first task: one zip with
this package and the modules of the user's own classes, and with it the observer.

As in `cluster.py`, Keras is not imported at the top: the number of threads is set first.
"""

import ast
import dataclasses
import hashlib
import importlib.util
import io
import json
import os
import pickle
import sys
import sysconfig
import tempfile
import threading
import time
import types
import zipfile
from pathlib import Path, PurePosixPath

from distributed import get_worker
from distributed.diagnostics.plugin import UploadFile

import reverse_correlation
from reverse_correlation.backend import BACKEND, chosen, import_quietly
from reverse_correlation.errors import UserError
from reverse_correlation.passes.shards import GROUP, SumTree

# of a record: weights may differ in their bytes after saving, machines in their instructions and so
# in last digits; and a worker does not know how the contrast was found
MAY_DIFFER = {"network_sha256", "machine", "answers", "at_threshold"}
# of the environment: these change last digits
ENVIRONMENT = ("TF_ENABLE_ONEDNN_OPTS", "ONEDNN_MAX_CPU_ISA")


def upload(work):
    """Return the Dask plugin that sends workers everything they need for a NoisePass.

    The plugin's zip holds modules. The plugin has further attributes, which are sent with it: a
    Keras network as the bytes of a `.keras` file, or another observer, pickled (a function by its
    module, an ONNX file as bytes); the noise as the values of its fields; and settings. A worker
    unpickles them once it has the modules.

    Raises:
        UserError: if a class of the pass cannot be sent.
    """
    if not dataclasses.is_dataclass(work.noise):
        name = type(work.noise).__name__
        raise UserError(f"{name} cannot be sent to workers: make it a dataclass")
    fields = {f.name: getattr(work.noise, f.name) for f in dataclasses.fields(work.noise)}
    settings = {
        "seed": work.seed,
        "layers": work.layers,
        "precision": work.precision,
        "accumulators": work.kinds,
        "block_images": work.block_images,
        "classes": work.observer.classes,
        "only": work.observer.only,
    }
    observed = not work.observer.has_layers
    network, custom = _pickled(work.observer) if observed else _saved(work.observer.graph)
    modules = _modules([type(work.noise), *work.kinds, *custom])
    sources = read_sources(modules)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"modules-{_hash(sources)}.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for file, text in sources.items():
                archive.writestr(zipfile.ZipInfo(file), text)  # without a time stamp
        plugin = UploadFile(path, load=False)
    plugin.name = f"pass-{_hash([work.identity, sources])}"
    plugin.idempotent = True  # so a restarted client finds the network already built
    plugin.identity, plugin.network, plugin.modules = work.identity, network, modules
    plugin.observed, plugin.label_kind = observed, work.observer.label_kind
    plugin.environment = {name: os.environ.get(name) for name in ENVIRONMENT}
    plugin.environment[BACKEND] = chosen()
    plugin.settings = pickle.dumps((type(work.noise), fields, settings))
    return plugin


def _hash(content):
    """Return a short hash of JSON-serialisable content."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _saved(graph):
    """Return a flat network as the bytes of a `.keras` file, and the custom classes it needs."""
    import keras  # here, since it imports what it computes with

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.keras"
        keras.Model(graph.inputs[0], graph.outputs[0], name=graph.name).save(path)
        with zipfile.ZipFile(path) as archive:
            config = archive.read("config.json").decode()
        registered = keras.saving.get_custom_objects().items()
        return path.read_bytes(), [custom for name, custom in registered if f'"{name}"' in config]


def _pickled(observer):
    """Return an observer pickled, and the classes and functions that are pickled by name."""
    named, stream = [], io.BytesIO()

    class Pickler(pickle.Pickler):
        def reducer_override(self, value):
            if isinstance(value, (type, types.FunctionType)):
                named.append(value)
            return NotImplemented

    try:
        Pickler(stream).dump(observer)
    except Exception as error:  # from any library
        _modules(named)  # raises a clearer error if one is defined in the script itself
        raise UserError(
            f"the observer {observer.name!r} cannot be sent to workers ({error}): build it from "
            "functions and classes that stand at the top of a module"
        ) from error
    return stream.getvalue(), named


def _modules(objects):
    """Return the names of the modules that define classes or functions."""
    for definition in objects:
        if definition.__module__ == "__main__":
            raise UserError(
                f"{definition.__name__} is defined in the script itself, which workers cannot "
                "import: move it to a module of its own beside the script"
            )
    return sorted({definition.__module__ for definition in objects})


def read_sources(modules):
    """Return the text of this package, of modules and of what those import: {file: text}.

    Files are named as in a zip. Installed packages are left out, since workers must have them.
    """
    home = Path(reverse_correlation.__file__).parent
    files = {file.relative_to(home.parent).as_posix(): file for file in sorted(home.rglob("*.py"))}
    sources = {name: file.read_text(encoding="utf-8") for name, file in files.items()}
    todo, seen = list(modules), set()
    while todo:
        name = todo.pop()
        module = sys.modules.get(name)
        file = Path(getattr(module, "__file__", None) or "")
        if name in seen or file.suffix != ".py" or _is_installed(file):
            continue
        seen.add(name)
        inside = hasattr(module, "__path__")
        text = file.read_text(encoding="utf-8")
        sources[name.replace(".", "/") + ("/__init__.py" if inside else ".py")] = text
        todo += [name.rpartition(".")[0], *_imported(text, name if inside else module.__package__)]
    for file in list(sources):
        for folder in PurePosixPath(file).parents[:-1]:  # in a zip, a package needs this file
            sources.setdefault(f"{folder}/__init__.py", "")
    return sources


def _imported(text, package):
    """Return the names of what a module's text imports: of modules, and of names in them."""
    names = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            names += [module, *(f"{module}.{alias.name}" for alias in node.names)]
    return names


def _is_installed(file):
    """Return whether a module belongs to Python or to an installed package."""
    within = (sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"))
    packages = {"site-packages", "dist-packages"}
    return bool(packages & set(file.parts)) or str(file.resolve()).startswith(within)


def task_of(name):
    """Return the function that computes a task of the pass whose plugin has that name.

    The function is nested and uses nothing else of this module, so it is pickled by value: the
    scheduler, which unpickles it, does not have this package, and a worker has it only once the
    function has run.
    """

    def task(first, level, images=None):
        """Return the sums of 8**level shards, or of some images of one, and seconds per shard."""
        worker = get_worker()
        with vars(worker).setdefault("one_pass_at_a_time", threading.Lock()):
            try:
                plugin = worker.plugins[name]
                if not hasattr(plugin, "remade"):
                    folder = worker.local_directory
                    import_from(os.path.join(folder, plugin.filename))
                    module = importlib.import_module("reverse_correlation.passes.worker")
                    plugin.remade = module.RemadePass(plugin, folder, worker.state.nthreads)
                return plugin.remade.sums(first, level, images, lambda: name in worker.plugins)
            except ModuleNotFoundError as error:
                reason = f"lacks the package {error.name}: install it there"
            except ValueError as error:
                reason = f"stopped: {error}"
            except Exception as error:  # from any library
                reason = f"failed: {type(error).__name__}: {str(error).strip()[:200]}"
        raise ValueError(f"the worker {worker.address} {reason}")

    def import_from(path):
        """Make the modules of a zip importable, in place of others with the same names.

        If one has already been imported with another text, as in an earlier pass, all are dropped.
        """
        with zipfile.ZipFile(path) as archive:
            texts = {
                file[:-3].replace("/", ".").removesuffix(".__init__"): archive.read(file).decode()
                for file in archive.namelist()
            }
        present = {module: sys.modules[module] for module in texts if module in sys.modules}
        if any(module.__loader__.get_source(n) != texts[n] for n, module in present.items()):
            for stale in present:
                del sys.modules[stale]
        sys.path[:] = [path, *(other for other in sys.path if other != path)]
        importlib.invalidate_caches()

    return task


class RemadePass:
    """A NoisePass, rebuilt on a worker from what was sent.

    Raises:
        UserError: if it differs, because the worker has other packages or settings.
    """

    def __init__(self, plugin, folder, threads):
        if "keras" not in sys.modules:
            for variable, value in plugin.environment.items():
                os.environ.pop(variable, None)
                if value is not None:
                    os.environ[variable] = value
        import_quietly()
        for package, wanted in plugin.identity["versions"].items():
            present = importlib.import_module(package).__version__
            if present != wanted:
                raise UserError(
                    f"it has {package} {present}, but this pass needs {wanted}: install that"
                )
        # here, since these import Keras
        from reverse_correlation.frameworks import framework
        from reverse_correlation.observers.keras_networks import Network
        from reverse_correlation.observers.network_files import load_any_network
        from reverse_correlation.passes.noise_pass import NoisePass

        threads = int(os.environ.get("TF_NUM_INTRAOP_THREADS", threads))
        framework.use_threads(threads)
        for module in plugin.modules:  # importing them registers the network's custom layers
            importlib.import_module(module)
        noise_class, fields, settings = pickle.loads(plugin.settings)
        noise = noise_class(**fields)
        if plugin.observed:
            model = pickle.loads(plugin.network)
        else:
            path = Path(folder) / f"{plugin.name}.keras"
            path.write_bytes(plugin.network)
            name = plugin.identity["network"]
            model = Network(load_any_network(path), noise, name, plugin.label_kind)
        self.work = NoisePass(model, noise, **settings)
        for key in (plugin.identity | self.work.identity).keys() - MAY_DIFFER:
            here, there = self.work.identity.get(key), plugin.identity.get(key)
            if here != there:
                raise UserError(f"its {key} is {here}, but this pass needs {there}")

    def sums(self, first, level, images, is_wanted):
        """Return what a task does; is_wanted() says whether the pass is still going on."""
        if images:
            return self.work.shard_sums(first, images), 0
        tree, started = SumTree(), time.perf_counter()
        for index in range(first, first + GROUP**level):
            if not is_wanted():
                raise UserError("the pass was called off")
            tree.add(self.work.shard_sums(index))
        return tree.total(), (time.perf_counter() - started) / GROUP**level
