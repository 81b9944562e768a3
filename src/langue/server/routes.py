"""What a route is: the types of what it reads and answers, of which the OpenAPI document is made too."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple


class Route(NamedTuple):
    """One thing a server answers.

    Attributes:
        body: type of what it reads, a `schema.Request`; None: nothing.
        answer: type of what it says; `str`: plain text.
        handler: called with the server, and with the body where it has one.
        stream: whether it can answer by events.
        free: whether it is answered without a key.
        of_model: whether the path names a model as `{model}`, or `?model=NAME` may stand behind it; the
            handler is given the name.
    """

    method: str
    path: str
    summary: str
    body: Any
    answer: Any
    handler: Callable[..., Awaitable[Any]]
    stream: bool = False
    free: bool = False
    of_model: bool = False
