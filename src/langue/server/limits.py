"""What one request may ask at most, and how a server is set up."""

from dataclasses import dataclass
from pathlib import Path

BODY = 4 << 20  # bytes
BODY_SECONDS = 20.0  # in which a body has to arrive
HEAD = 1 << 16  # bytes of the head of a request
HEAD_SECONDS = 10.0  # in which it has to arrive
REQUESTS = 256  # at a time, of all models
PROMPTS = 256  # of a request
TEXTS = 512  # written for a request: prompts x n
STOPS = 16
STOP_LENGTH = 256  # characters
REGEX = 10_000  # characters
CHOICES = 256  # texts of which one is to be written
LOGPROBS = 50  # likeliest tokens told at each token
NEXT = 1000  # likeliest next tokens
PROMPT_TOKENS = 1 << 16  # of all prompts of a request
SCORED_BYTES = 1 << 17
TOLD_TOKENS = 1 << 12  # scored tokens of a request whose likeliest alternatives are told
QUERY = 500  # characters of a question, or of what passages are to be near to
BEAMS = 16  # hypotheses of a summary that is written
NEAR = 100  # sentences or passages that are told
SENTENCE = 1 << 14  # characters of a sentence to tag
AT_ONCE = 1 << 18  # numbers read for the tokens of texts: of fewer, they take two milliseconds or so
ROWS = 16  # texts that one model writes side by side
PART = 16  # texts of a request that a model reads before it looks whether anyone still waits
SEED = 2**53  # the largest


@dataclass(frozen=True)
class Settings:
    """How a server is set up.

    Attributes:
        keys: one of them is asked of whoever asks; none: nobody is asked.
        base_path: what stands before every path, as `/langue`; "" for none.
        memory: bytes of models held at a time; None: no bound.
        max_tokens: written after one prompt at most.
        queue: requests that wait for one model at most.
        timeout: seconds that one request may take.
        origins: of other sites that a browser may ask from.
        corpus: a token store that generated text is compared with.
        drain: seconds that requests which run have to end once the server is told to stop.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    keys: tuple[str, ...] = ()
    base_path: str = ""
    memory: int | None = None
    max_tokens: int = 4096
    queue: int = 64
    timeout: float = 120.0
    origins: tuple[str, ...] = ()
    corpus: Path | None = None
    drain: float = 30.0
    quantize: bool = False
