"""The models of a server by name: loaded when one is first asked, put out again where memory is short."""

from __future__ import annotations

import asyncio
import gc
import re
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from langue.base.errors import LangueError, Unsupported, message_of
from langue.base.progress import log
from langue.models.folder import Description, describe
from langue.models.registry import family as lookup
from langue.protocols import Causal, Classifier, Masked, SentenceRanker, Seq2Seq, SpanPredictor, Tagger
from langue.server import limits
from langue.server.engine import Engine, GoOn
from langue.server.errors import Refused, in_http, refusal, report
from langue.server.limits import Settings

if TYPE_CHECKING:
    from langue.api.models import Model

T = TypeVar("T")
R = TypeVar("R")
State = Literal["cold", "loading", "ready", "broken"]
# What models of each kind can do.
CAPABILITIES: tuple[tuple[type[Any], tuple[str, ...]], ...] = (
    (Causal, ("complete", "score", "next", "why")),
    (Masked, ("fill", "embed", "score")),
    (Tagger, ("tag",)),
    (Classifier, ("classify",)),
    (SpanPredictor, ("answer",)),
    (SentenceRanker, ("summarize", "rank")),
)
WITHOUT_HEAD = ("embed",)  # of an encoder that does not predict hidden tokens
OF_PAIRS = ("summarize", "abstract")  # what was trained on pairs can besides
INSTEAD = {
    "complete": "continues no text",
    "next": "foretells no next token",
    "score": "gives no text bits",
    "fill": "fills no gaps",
    "why": "gives no token a probability from left to right",
    "embed": "makes no vectors of texts",
    "tag": "is not a tagger",
    "classify": "is no classifier",
    "answer": "answers no questions",
    "summarize": "makes no summaries",
    "rank": "ranks no sentences",
    "abstract": "writes no summaries",
    "tokenize": "reads no token ids",
}
AGAIN = 10.0  # seconds after which a model that could not be loaded is tried again


class Served:
    """One model of a server.

    Attributes:
        description: `model.json`; None where it cannot be read.
        problem: why it cannot be loaded; None: nothing is known to be wrong.
        bytes: that it is taken to need in memory: those of its files.
    """

    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        self.path = path
        self.description: Description | None = None
        self.problem: str | None = None
        self.capabilities: tuple[str, ...] = ()
        self.bytes = 0
        self.engine: Engine | None = None
        self.face: Model[Any] | None = None
        self.used = self.failed = 0.0  # when
        self.leases = 0  # requests that it answers
        self.loads = 0
        self.written = 0  # tokens, by engines that are gone
        self.look()

    def look(self) -> None:
        """Read what the folder says of the model."""
        try:
            known = describe(self.path)
            made = lookup(known.family).makes
        except (LangueError, OSError) as error:
            self.problem = message_of(error)
            return
        self.description, self.problem = known, None
        self.bytes = sum(file.bytes for file in known.files.values())
        self.capabilities = next((some for kind, some in CAPABILITIES if kind in made.__mro__), ())
        if Masked in made.__mro__ and known.config.get("no_mlm_head"):
            self.capabilities = WITHOUT_HEAD
        if known.vocabulary is not None:
            self.capabilities += ("tokenize",)
            if known.vocabulary.sep is not None and Seq2Seq in made.__mro__:
                self.capabilities += OF_PAIRS

    @property
    def reason(self) -> str | None:
        """Why it cannot be loaded, to whoever asks: where it lies is nothing to tell them."""
        if self.problem is None:
            return None
        path = rf"(?<![\w/]){re.escape(str(self.path))}(?![\w-])"
        return re.sub(path, lambda _: self.name, in_http(self.problem))

    @property
    def state(self) -> State:
        if self.face is not None:
            return "ready"
        if self.engine is not None:
            return "loading"
        return "broken" if self.problem else "cold"

    @property
    def window(self) -> int | None:
        """Tokens it sees at once; None where there is no bound, or none is known before it is loaded."""
        if self.face is not None:
            window: int | None = getattr(self.face.folder.model, "window", None)
            return window
        return self.description.config.get("context") if self.description else None

    @property
    def texts(self) -> int | None:
        """Of an example of a classifier; None of any other model."""
        if "classify" not in self.capabilities or self.description is None:
            return None
        if self.face is not None:
            texts: int = self.face.folder.model.texts
            return texts
        return 2 if self.description.config.get("task") == "pair" else 1

    def require(self, capability: str) -> None:
        """Raise a `Refused` where it cannot do something."""
        if self.description is not None and capability not in self.capabilities:
            can = ", ".join(self.capabilities) or "nothing that is served"
            raise Refused(
                400,
                f"{self.name} ({self.description.family}) {INSTEAD[capability]}; it can: {can}",
                param="model",
            )


class Held:
    """A model that is loaded, as long as a request needs it."""

    def __init__(self, served: Served, engine: Engine, face: Any, release: Callable[[], None]) -> None:
        self.release = release  # to be called once, when it is needed no more
        self.name = served.name
        self.served = served
        self.engine = engine
        self.face = face  # what does not compute with the model, such as its tokenizer, is anyone's to use

    async def call(self, function: Callable[[Any], T]) -> T:
        """What a function says of the model's face, on the model's own thread."""
        return await self.engine.call(lambda face, go_on: function(face))

    async def call_while_wanted(self, function: Callable[[Any, GoOn], T]) -> T:
        """`call` of a function that asks between the parts of its work whether to go on."""
        return await self.engine.call(function)

    async def call_on(
        self, items: Sequence[T], function: Callable[[Any, Sequence[T]], Iterable[R]]
    ) -> list[R]:
        """What a function says of items, which it is given some at a time, while anyone waits."""

        def in_parts(face: Any, go_on: GoOn) -> list[R]:
            results: list[R] = []
            for begin in range(0, len(items), limits.PART):
                go_on()
                results.extend(function(face, items[begin : begin + limits.PART]))
            return results

        return await self.call_while_wanted(in_parts)


class Models:
    """All models of a server.

    Raises:
        LangueError: there is none, two have one name, or none can be read.
    """

    def __init__(self, paths: Mapping[str, Path], settings: Settings) -> None:
        self.settings = settings
        self.all = {name: Served(name, path) for name, path in paths.items()}
        if not self.all:
            raise LangueError("no model to serve: give the folder of one")
        if all(one.problem for one in self.all.values()):
            raise LangueError("; ".join(str(one.problem) for one in self.all.values()))
        for one in self.all.values():
            if one.problem:
                log.warning("%s cannot be served: %s", one.name, one.problem)
            elif settings.memory is not None and one.bytes > settings.memory:
                raise LangueError(
                    f"{one.path} alone needs {-(-one.bytes >> 20):,} MB, "
                    f"more than --memory {settings.memory >> 20:,}"
                )
        self._loading = asyncio.Lock()
        self._released = asyncio.Event()

    def find(self, name: str | None, capability: str) -> Served:
        """The model of a name, or the first that can do something.

        Raises:
            Refused: there is none of that name, or it cannot.
        """
        if name is None:
            able = [one for one in self.all.values() if capability in one.capabilities]
            if not able:
                raise Refused(400, f"no model of this server can {capability}", param="model")
            return able[0]
        served = self.all.get(name)
        if served is None:
            known = ", ".join(self.all)
            raise Refused(
                404, f"no model of that name; there are: {known}", param="model", code="model_not_found"
            )
        served.require(capability)
        return served

    @asynccontextmanager
    async def held(self, name: str | None, capability: str) -> AsyncIterator[Held]:
        """`hold`, as a context."""
        held = await self.hold(name, capability)
        try:
            yield held
        finally:
            held.release()

    async def hold(self, name: str | None, capability: str) -> Held:
        """A model, loaded, that is not put out before it is released.

        Raises:
            Refused: there is none of that name, it cannot do that, or it cannot be loaded.
        """
        served = self.find(name, capability)
        served.leases += 1
        try:
            if served.face is None:
                # It goes on where the client leaves, or has no more time: the next finds it loaded.
                loading = asyncio.ensure_future(self._load(served))
                loading.add_done_callback(lambda task: task.cancelled() or task.exception())
                await asyncio.shield(loading)
            served.require(capability)
        except BaseException:
            self._release(served)
            raise
        served.used = monotonic()
        assert served.engine is not None
        return Held(served, served.engine, served.face, partial(self._release, served))

    def _release(self, served: Served) -> None:
        served.leases -= 1
        self._released.set()

    async def _load(self, served: Served) -> None:
        async with self._loading:
            if served.face is None:
                await self._open(served)

    async def _open(self, served: Served) -> None:
        if served.problem and monotonic() - served.failed < AGAIN:
            raise Refused(503, f"{served.name} cannot be loaded: {served.reason}")
        if served.description is None:  # it may have been put right
            served.look()
        await self._make_room(served)
        path, quantize = served.path, self.settings.quantize
        engine = Engine(served.name, lambda: _open(path, quantize=quantize), queue=self.settings.queue)
        served.engine = engine
        try:
            served.face = await asyncio.wrap_future(engine.ready)
            served.problem = None
            served.loads += 1
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            served.engine, served.failed = None, monotonic()
            report(error)
            served.problem = message_of(error if isinstance(error, LangueError) else refusal(error))
            log.warning("%s cannot be loaded: %s: %s", served.name, type(error).__name__, served.problem)
            raise Refused(503, f"{served.name} cannot be loaded: {served.reason}") from None

    async def _make_room(self, wanted: Served) -> None:
        """Put out models that nobody uses, the longest unused first, until the memory suffices."""
        ceiling = self.settings.memory
        while (
            ceiling is not None
            and wanted.bytes + sum(one.bytes for one in self.all.values() if one.engine) > ceiling
        ):
            idle = [one for one in self.all.values() if one.engine and not one.leases]
            if idle:
                await self._put_out(min(idle, key=lambda one: one.used))
                continue
            self._released.clear()
            await self._released.wait()

    async def _put_out(self, served: Served) -> None:
        engine, served.engine, served.face = served.engine, None, None
        assert engine is not None
        served.written += engine.written
        await engine.close()
        gc.collect()

    async def close(self) -> None:
        for one in self.all.values():
            if one.engine is not None:
                await self._put_out(one)


def _open(path: Path, *, quantize: bool) -> Model[Any]:
    """A model, and what it compiles or reads when it is first used."""
    from langue.api.models import load
    from langue.generation.generate import generate
    from langue.generation.sample import Sampling

    try:
        face = load(path, quantize="int8" if quantize else None)
    except Unsupported:
        if not quantize:
            raise
        face = load(path)  # of a family that has no products to make of int8
    model = face.folder.model
    if isinstance(model, Causal | Masked | Classifier):
        _ = face.tokenizer.encode("a"), face.normalization
    if isinstance(model, Causal):
        generate(model, face.tokenizer, "a", Sampling(max_tokens=2)).finish()
    return face
