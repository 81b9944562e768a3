"""Errors a person can act on.

    LangueError
    ├── NotFound         no file, folder, model or store of that name
    ├── Mismatch         what was given does not fit: another tokenizer, another kind of model or data
    ├── Unsupported      this model cannot do that
    ├── Damaged          a file is cut, altered, or not what its name says
    ├── InvalidSetting   an unknown setting, or a value out of its bounds
    ├── MissingExtra     an optional package is not installed
    ├── Interrupted      the user stopped a run
    └── Complete         what was to be gone on with is done

Whatever a user can put right is a `LangueError`: its text says what was wrong, where (file, line,
byte) and what to do. The command line prints that text and leaves with `exit_code`; anything else
that escapes is a bug of langue's and keeps its traceback.

A text is written as the command line says it: `--overwrite`, `langue prepare TEXT -o STORE`. That is
`message`; `str`, which Python shows, has `overwrite=True` and `langue.prepare("TEXT", "STORE")`.
"""

from langue.base.wording import in_python


class LangueError(Exception):
    """Bad input, a bad setting, or a machine that refuses (disk full, no permission)."""

    exit_code = 2

    @property
    def message(self) -> str:
        """The text as the command line says it."""
        return super().__str__()

    def __str__(self) -> str:
        return in_python(self.message)


def message_of(error: Exception) -> str:
    """What an error says, as the command line says it: for another error to repeat."""
    return error.message if isinstance(error, LangueError) else str(error)


class NotFound(LangueError):
    """No file, folder, model or store of that name."""


class Mismatch(LangueError):
    """What was given does not fit: another tokenizer, another kind of model or data."""


class Unsupported(LangueError):
    """This model cannot do that; the message says which can."""


class Damaged(LangueError):
    """A file is cut, altered, or not what its name says."""


class InvalidSetting(LangueError, ValueError):
    """An unknown setting, or a value out of its bounds."""


class Interrupted(LangueError):
    """The user stopped a run; the message says what was saved and where."""

    exit_code = 130


class Complete(LangueError):
    """What was to be gone on with is done: the message names it. To the command line it is no failure."""

    exit_code = 0


NEURAL = "neural"  # the extra that brings torch
# Elsewhere than on a Mac, the torch of the package index brings gigabytes of CUDA.
FOR_A_PROCESSOR = "without a GPU, install torch's CPU build first: pytorch.org/get-started has the line"


class MissingExtra(LangueError):
    """An optional package is not installed; the message holds the command that installs it."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs the package {package}: {how_to_install(extra)}")


def how_to_install(extra: str) -> str:
    """What to type for the packages of an extra."""
    command = f"pip install 'langue[{extra}]'"
    return f"{command} ({FOR_A_PROCESSOR})" if extra == NEURAL else command


# What torch says of memory, on the CPU and of sizes that no machine has; its own error is of the GPU.
_NO_MEMORY = ("not enough memory", "can't allocate memory", "Storage size calculation overflowed")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out; torch need not be imported to ask."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(part in str(error) for part in _NO_MEMORY)
