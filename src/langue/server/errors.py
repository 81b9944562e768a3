"""Errors as OpenAI's clients read them."""

import re
import traceback

from langue.base.errors import LangueError, is_out_of_memory
from langue.base.progress import log
from langue.base.wording import in_requests
from langue.server.schema import ErrorBody, ErrorResponse

KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    408: "timeout_error",
    413: "invalid_request_error",
    431: "invalid_request_error",
    429: "rate_limit_error",
    500: "server_error",
    503: "unavailable_error",
    504: "timeout_error",
}
_COMMAND = re.compile(r"; [^;]*\blangue [a-z]+ [^;]*")  # is for whoever has the machine to type
RETRY = 1  # seconds after which a client that is refused for now may ask again


class Refused(LangueError):
    """A request that is not answered as it asked.

    Args:
        status: of HTTP.
        param: the field that is wrong.
        code: by which OpenAI's clients tell some errors.
    """

    def __init__(
        self, status: int, message: str, *, param: str | None = None, code: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.param = param
        self.code = code

    def __str__(self) -> str:
        return self.message  # it is read in an answer, not in Python


def in_http(message: str) -> str:
    """A message of the command line as whoever asks a server reads it: options are fields."""
    return in_requests(_COMMAND.sub("", message))


def refusal(error: BaseException) -> Refused:
    """Any error as one to answer with; a bug of ours tells nothing of itself."""
    if isinstance(error, Refused):
        return error
    if isinstance(error, LangueError):
        return Refused(400, in_http(error.message))
    if is_out_of_memory(error):
        return Refused(503, "not enough memory for this; ask for less, or later")
    return Refused(500, "an error of the server's own; its log has where")


def body_of(error: Refused) -> ErrorResponse:
    return ErrorResponse(ErrorBody(str(error), KINDS[error.status], error.param, error.code))


def report(error: BaseException) -> None:
    """Log a bug of ours: where it was, and nothing of what it says, which may be a user's text."""
    if refusal(error).status == 500:
        where = "".join(traceback.format_tb(error.__traceback__)[-6:])
        log.error("%s; a bug of the server's:\n%s", type(error).__name__, where)
