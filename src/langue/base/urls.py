"""What a URL names lies in an object store (`base/remote.py`), not among the files of this machine."""

import re
from pathlib import Path

# pathlib takes one of the two slashes out of a URL. A single letter is a disk.
_URL = re.compile(r"(?P<store>[a-z][a-z0-9+.-]+):/{1,2}(?P<name>[^/].*)", re.DOTALL)


def url_of(path: Path | str) -> str | None:
    """The URL that a path is; None: it is of this machine."""
    match = _URL.fullmatch(str(path))
    return f"{match['store']}://{match['name']}" if match else None
