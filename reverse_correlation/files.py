"""Files are written whole or not at all, and read only if they hold what they promise."""

import contextlib
import json
import math
import os
import re
import zipfile
import zlib
from pathlib import Path

import numpy as np

from reverse_correlation.errors import FileError

SPARE = 2**26  # bytes that an archive may always unpack to
RATIO = 20  # of what a compressed archive may unpack to beyond that, to its own size
MOST_PARTS = 20_000  # of an archive
LONGEST_RECORD = 2**20  # characters of JSON

# what reading a damaged file raises
DAMAGED = (
    ValueError,
    KeyError,
    TypeError,
    EOFError,
    OSError,
    RuntimeError,  # of flags that say that an archive is encrypted, or of a later version
    zipfile.BadZipFile,
    zlib.error,
)


@contextlib.contextmanager
def replacing(path):
    """Yield a temporary path to write to; it replaces `path` if the block ends without an error.

    The temporary file is in the same folder; its name keeps the suffix and includes the process id.

    Raises:
        FileError: if the file cannot be written; what was there before is intact.
    """
    path = Path(path)
    part = path.with_name(f"{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        yield part
        os.replace(part, path)
    except OSError as error:
        raise FileError(
            f"cannot write {path} ({error.strerror or error}): free some space or choose "
            "another folder; what was saved before is intact"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def safe_stem(name):
    """Return a name as the stem of a file's: letters, digits, - and _, 60 at most."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", name)[:60]


def kept(path, identity, read, compute, write):
    """Return the result that a file keeps for this identity, or compute it and keep it there.

    A file with another identity, or a damaged one, is replaced.

    Args:
        path: of the file.
        identity: everything that the result depends on, JSON-serialisable.
        read: function of the path that returns (identity, result).
        compute: function without arguments that returns the result.
        write: function of path, identity and result.
    """
    path, identity = Path(path), json.loads(json.dumps(identity))
    if path.exists():
        with contextlib.suppress(*DAMAGED):
            known, result = read(path)
            if known == identity:
                return result
    result = compute()
    write(path, identity, result)
    return result


def read_arrays(path):
    """Return (identity, {name: array}) from a .npz file, as `kept` expects."""
    arrays = read_npz(path)
    return read_json(arrays.pop("identity")), arrays


def write_arrays(path, identity, arrays):
    """Write (identity, {name: array}) to a compressed .npz file, whole or not at all.

    Raises:
        FileError: if it cannot be written.
    """
    with replacing(path) as part, open(part, "wb") as file:
        np.savez_compressed(file, identity=json.dumps(identity), **arrays)


def read_npz(path, ratio=RATIO):
    """Return the arrays of a .npz file, {name: array}, once their sizes are known to be honest.

    Args:
        path: of the file.
        ratio: of the bytes that it may unpack to beyond SPARE, to its own size.

    Raises:
        one of DAMAGED: if it is not a whole .npz file, or holds other things than arrays of numbers
            and texts, or promises more than it holds. Nothing large has been allocated then.
    """
    with zipfile.ZipFile(path) as archive:
        refuse_bombs(archive, ratio)
        for part in archive.infolist():
            with archive.open(part) as file:
                _check_header(part, file)
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def refuse_bombs(archive, ratio=RATIO):
    """Raise ValueError if an open ZipFile would unpack to much more than its file holds."""
    parts, held = archive.infolist(), os.fstat(archive.fp.fileno()).st_size
    promised = sum(part.file_size for part in parts)
    if promised > SPARE + ratio * held:
        raise ValueError(f"its {held:,} bytes would unpack to {promised:,}")
    if len(parts) > MOST_PARTS:
        raise ValueError(f"it has {len(parts):,} parts")
    if any(part.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for part in parts):
        raise ValueError("it is compressed in an unusual way")


def _check_header(part, file):
    """Raise ValueError if a part of an archive is not an array of just the size that it has.

    Args:
        part, file: the ZipInfo, and the part opened.
    """
    try:
        version = np.lib.format.read_magic(file)
        read = {(1, 0): np.lib.format.read_array_header_1_0}
        shape, _, dtype = read.get(version, np.lib.format.read_array_header_2_0)(file)
    except Exception as error:  # a header is a Python literal, which can be wrong in many ways
        raise ValueError(f"{part.filename} is not an array") from error
    if dtype.kind not in "biufU":
        raise ValueError(f"{part.filename} holds neither numbers nor texts")
    if dtype.kind == "U" and part.file_size > 8 * LONGEST_RECORD:
        raise ValueError(f"{part.filename} is too long for a text")
    size = file.tell() + dtype.itemsize * math.prod(shape)
    if size != part.file_size or not part.filename.endswith(".npy"):
        raise ValueError(f"{part.filename} promises {size:,} bytes and has {part.file_size:,}")


def read_json(text, longest=LONGEST_RECORD):
    """Return what JSON from outside holds, a text, bytes or an array of one text.

    Raises:
        ValueError: if it is not JSON, or longer, or nested deeper, than any that was written.
    """
    text = text.item() if isinstance(text, np.ndarray) else text
    text = text.decode() if isinstance(text, bytes) else str(text)
    if len(text) > longest:
        raise ValueError(f"its record of {len(text):,} characters is too long")
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("its record is nested too deeply") from None
