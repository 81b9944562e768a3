"""`langue serve`: models behind an address."""

from pathlib import Path
from typing import Annotated

from langue.base.errors import LangueError
from langue.cli.options import Quantize, Quiet
from langue.cli.parameters import Argument, Option

MB = 1 << 20


def command(
    models: Annotated[list[str] | None, Argument(help="Model folders, each named as its folder is.")] = None,
    name: Annotated[
        list[str] | None,
        Option("--name", metavar="NAME=PATH", help="A model by another name; may be repeated."),
    ] = None,
    host: Annotated[str, Option(help="Address; any but loopback asks for a key.")] = "127.0.0.1",
    port: Annotated[int, Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8000,
    api_key_file: Annotated[
        Path | None, Option(metavar="FILE", help="Keys, one a line; clients have to give one.")
    ] = None,
    memory: Annotated[
        int | None,
        Option(min=1, metavar="MB", help="Models held at a time; the longest unused is put out."),
    ] = None,
    max_tokens: Annotated[int, Option(min=1, max=1_000_000, help="Tokens after one prompt at most.")] = 4096,
    queue: Annotated[int, Option(min=1, max=100_000, help="Requests that wait for one model at most.")] = 64,
    timeout: Annotated[
        float,
        Option(min=0.1, max=86_400, metavar="SECONDS", help="What one request may take."),
    ] = 120.0,
    corpus: Annotated[
        Path | None,
        Option(
            metavar="STORE",
            help="Token store to look in for answers, for the similar, for what was copied.",
        ),
    ] = None,
    base_path: Annotated[
        str,
        Option(metavar="PATH", empty=True, help="What stands before every path, behind a proxy: /langue."),
    ] = "",
    cors: Annotated[
        list[str] | None,
        Option(metavar="ORIGIN", help="Another site whose pages may ask: https://host; may be repeated."),
    ] = None,
    quantize: Quantize = None,
    quiet: Quiet = False,
) -> None:
    """Serve models to OpenAI's clients and others, and a page to look inside, at http://127.0.0.1:8000/."""
    from langue.server.limits import Settings
    from langue.server.run import serve

    settings = Settings(
        host=host,
        port=port,
        keys=_keys(api_key_file),
        base_path=_base(base_path),
        memory=None if memory is None else memory * MB,
        max_tokens=max_tokens,
        queue=queue,
        timeout=timeout,
        origins=tuple(origin.rstrip("/") for origin in cors or ()),
        corpus=corpus,
        quantize=quantize is not None,
    )
    serve(_named(models or [], name or []), settings)


def _named(models: list[str], names: list[str]) -> dict[str, Path]:
    """The folders by name.

    Raises:
        LangueError: there is none, or two have one name.
    """
    named: dict[str, Path] = {}
    pairs = [(Path(path).resolve().name, path) for path in models]
    for text in names:
        name, equals, path = text.partition("=")
        if not (name and equals and path):
            raise LangueError(f"--name {text}: write NAME=PATH, for example --name small=models/gpt2")
        pairs.append((name, path))
    if not pairs:
        raise LangueError("no model to serve: give the folder of one")
    for name, path in pairs:
        if name in named:
            raise LangueError(f"two models are named {name}; give one another name: --name NAME={path}")
        named[name] = Path(path)
    return named


def _keys(file: Path | None) -> tuple[str, ...]:
    if file is None:
        return ()
    try:
        keys = tuple(line.strip() for line in file.read_text(encoding="utf-8").splitlines() if line.strip())
    except (OSError, ValueError) as error:
        raise LangueError(f"cannot read {file}: {getattr(error, 'strerror', None) or 'not UTF-8'}") from None
    if not keys:
        raise LangueError(f"{file} holds no key; write one a line")
    return keys


def _base(path: str) -> str:
    path = path.rstrip("/")
    if path and not (path.startswith("/") and path.isascii() and not set(path) & set("?#%{} ")):
        raise LangueError(f"--base-path {path}: begin with / and use plain characters, as /langue")
    return path
