"""Files are written whole or not at all."""

import contextlib
import os
from pathlib import Path

from reverse_correlation.errors import FileError


@contextlib.contextmanager
def replacing(path):
    """Yield a name beside `path` to write to; it becomes `path` when the block ends without error.

    The name keeps the suffix of `path`, and has the number of this process in it.

    Raises:
        FileError: a sentence, if the file cannot be written; what was there before is intact.
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
