"""Files are written whole or not at all."""

import contextlib
import json
import os
import re
import zipfile
import zlib
from pathlib import Path

import numpy as np

from reverse_correlation.errors import FileError

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
    with np.load(path, allow_pickle=False) as file:
        identity = json.loads(str(file["identity"]))
        return identity, {name: file[name] for name in file.files if name != "identity"}


def write_arrays(path, identity, arrays):
    """Write (identity, {name: array}) to a compressed .npz file, whole or not at all.

    Raises:
        FileError: if it cannot be written.
    """
    with replacing(path) as part, open(part, "wb") as file:
        np.savez_compressed(file, identity=json.dumps(identity), **arrays)
