"""Packages that not everybody installs."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from langue.base.errors import NEURAL, MissingExtra


def has_torch() -> bool:
    """Whether networks can be trained and run; torch is not imported to ask."""
    return find_spec("torch") is not None


@contextmanager
def needs_torch(purpose: str) -> Iterator[None]:
    """What is done within imports torch; where it is not installed, the user is told what to type.

    Raises:
        MissingExtra: torch is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise MissingExtra("torch", NEURAL, purpose) from None
