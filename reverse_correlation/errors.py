"""Errors that a user can mend; whatever else is raised is a bug and keeps its traceback."""


class UserError(ValueError):
    """Bad input: one sentence that says what is wrong, what was expected, and what to do."""


class FileError(UserError, OSError):
    """The same for a file, a folder or a connection: the message is the sentence, with no errno."""
