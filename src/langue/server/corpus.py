"""The text that `--corpus` names: its passages, and vectors of them, made when they are first asked for."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from operator import methodcaller
from pathlib import Path
from typing import TYPE_CHECKING

from langue.server.models import Held
from langue.tokens.store import TokenStore

if TYPE_CHECKING:
    from langue.generation.embed import Pooling
    from langue.tasks.retrieval.passages import Passages
    from langue.tasks.retrieval.similar import Vectors

AT_ONCE = 16  # passages that are embedded at a time: the model answers others between


class Corpus:
    """A token store.

    Raises:
        LangueError: there is none.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.resolve().name
        self.store = TokenStore(path)
        self._reading: asyncio.Task[Passages] | None = None
        self._embedding: defaultdict[tuple[str, str], Embedding] = defaultdict(Embedding)

    async def passages(self) -> Passages:
        """All of it; who asks first waits until it is read, and where they leave, it goes on."""
        if self._reading is None or (self._reading.done() and self._reading.exception()):
            self._reading = asyncio.create_task(asyncio.to_thread(self._read))
        return await asyncio.shield(self._reading)

    def _read(self) -> Passages:
        from langue.tasks.retrieval.passages import Passages, read_texts

        # Where it lies is nothing to tell whoever asks.
        passages = Passages.of(
            text._replace(name=text.name.replace(str(self.path), self.name, 1))
            for text in read_texts([self.path])
        )
        _ = passages.index
        return passages

    async def vectors(self, held: Held, pooling: Pooling) -> list[Vectors]:
        """Of all passages, by a model; what one request had no time for, the next goes on with."""
        return await self._embedding[held.name, pooling].extend(held, await self.passages(), pooling)


class Embedding:
    """The vectors of the first passages, in parts."""

    def __init__(self) -> None:
        self.parts: list[Vectors] = []
        self._lock = asyncio.Lock()

    async def extend(self, held: Held, passages: Passages, pooling: Pooling) -> list[Vectors]:
        """Embed what is not yet."""
        async with self._lock:
            while (begin := AT_ONCE * len(self.parts)) < len(passages):
                numbers = range(begin, min(begin + AT_ONCE, len(passages)))
                texts = [passages.passage(number) for number in numbers]
                self.parts.append(await held.call(methodcaller("embed", texts, pooling=pooling)))
        return self.parts
