"""Errors that a user can fix. Any other exception is a bug and keeps its traceback."""

import numbers


class UserError(ValueError):
    """Bad input: one sentence that says what is wrong, what was expected, and what to do."""


class FileError(UserError, OSError):
    """A UserError about a file, folder or connection; its message is a sentence, with no errno."""


def whole_number(value, what):
    """Return a value as an int if it is a whole number, also one written as 1e4.

    Raises:
        UserError: if it is not; `what` begins the sentence.
    """
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not is_number or not float(value).is_integer():
        raise UserError(f"{what} must be a whole number, such as 10000 or 1e4, not {value!r}")
    return int(value)
