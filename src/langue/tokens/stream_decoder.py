"""Text of tokens that come one by one."""

import codecs
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from langue.tokens.tokenizer import Tokenizer


class StreamDecoder:
    """Text of ids as they come: a character appears once all its bytes are there, never broken.

    Words between blanks have theirs before them, for the text that they continue may end in none.
    """

    def __init__(self, tokenizer: "Tokenizer", after: str = "") -> None:
        self._tokenizer = tokenizer
        self._in_line = bool(after) and not after[-1].isspace()
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def push(self, id: int) -> str:
        """The text that is complete with this token."""
        text = self._decoder.decode(self._tokenizer.token_bytes(id))
        if self._tokenizer.kind != "whitespace" or not text:
            return text
        before = " " if self._in_line and text != "\n" else ""
        self._in_line = text != "\n"
        return before + text.removesuffix(" ")

    def push_all(self, ids: Sequence[int]) -> str:
        """The text that is complete with these tokens."""
        if self._tokenizer.kind == "whitespace":
            return "".join(map(self.push, ids))
        return self._decoder.decode(b"".join(map(self._tokenizer.token_bytes, ids)))

    def flush(self) -> str:
        """Text still held at the end; the bytes of an unfinished character become U+FFFD."""
        return self._decoder.decode(b"", final=True)
