"""Errors that a user can fix. Any other exception is a bug and keeps its traceback."""


class UserError(ValueError):
    """Bad input: one sentence that says what is wrong, what was expected, and what to do."""


class FileError(UserError, OSError):
    """A UserError about a file, folder or connection; its message is a sentence, with no errno."""
