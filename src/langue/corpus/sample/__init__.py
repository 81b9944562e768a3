"""The embedded sample: public-domain text in two languages, for `langue demo` and the tests.

`english.txt.gz` and `chinese.txt.gz` hold passages of a few kilobytes with a form-feed line between
them. `LICENSE.md` says where they come from.
"""

from importlib.resources import files
from pathlib import Path
from typing import Literal


def sample_path(language: Literal["english", "chinese"] | str) -> Path:
    """The packed text of one language."""
    return Path(str(files(__package__) / f"{language}.txt.gz"))
