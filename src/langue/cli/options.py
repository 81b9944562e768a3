"""What several verbs share: `--json`, `--quiet`, and how a result reaches standard output."""

import inspect
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from langue.base.errors import InvalidSetting, LangueError, NotFound
from langue.base.limits import MOST_WORKERS
from langue.base.progress import log, silence
from langue.cli.parameters import Option

# Of files that hold tagged or plain sentences, packed or not.
ENDINGS = (
    *(".conll", ".conllu", ".jsonl", ".ndjson", ".bio", ".iob", ".bioes", ".bmes", ".tsv", ".csv", ".json"),
    *(".txt", ".gz", ".zst", ".xz", ".bz2"),
)
Json = Annotated[bool, Option("--json", help="Print the result as JSON, for machines.")]
Overwrite = Annotated[bool, Option("--overwrite", help="Replace the output folder if it exists.")]
Output = Annotated[Path, Option("-o", "--output", help="Folder to write.")]
LARGEST_SEED = 2**53  # as of any setting
LONGEST = 1 << 16  # characters, or tokens, of a plain text that is read as one sentence
MOST = 1_000_000  # of rows to show, or tokens to look back: more is a slip of the finger
Seed = Annotated[int, Option("--seed", min=0, max=LARGEST_SEED, help="Same seed, same machine, same result.")]
Settings = Annotated[
    list[str] | None,
    Option("--set", metavar="KEY=VALUE", help="Change one setting, for example training.minutes=3."),
]
Resume = Annotated[bool, Option("--resume", help="Go on from the last checkpoint, if there is one.")]
DocumentsRule = Annotated[
    str | None,
    Option(
        "--documents",
        metavar="RULE",
        help="How texts are cut: line, blank-line, form-feed, file, auto, pairs, summaries; left out: as "
        "in training.",
    ),
]
TextField = Annotated[
    str | None,
    Option("--text-field", help="Field of JSON lines, JSON, CSV, TSV or Parquet that holds the text."),
]
SplitName = Annotated[str, Option("--split", help="Which documents: train, valid or test.")]
Quantize = Annotated[
    Literal["int8"] | None,
    Option("--quantize", help="int8: read a network by products of int8, faster and hardly worse."),
]
SourceField = Annotated[
    str | None,
    Option("--source-field", help="Field of records of pairs that holds the source, if not source."),
]
TargetField = Annotated[
    str | None,
    Option("--target-field", help="Field of records of pairs that holds the target, if not target."),
]


Workers = Annotated[
    int | None,
    Option("--workers", min=1, max=MOST_WORKERS, help="Share the work among so many processes."),
]
On = Annotated[
    str | None,
    Option("--on", help="Who does the work: processes, ray (a cluster, or this machine), ray://HOST:PORT."),
]
Scratch = Annotated[
    Path | None,
    Option("--scratch", metavar="DIR", help="Where to write on the way; what is done there is gone on with."),
]


def _quiet(value: bool) -> bool:
    if value:
        silence()
    return value


Quiet = Annotated[
    bool, Option("--quiet", callback=_quiet, help="Print the result and warnings only, no progress.")
]


def option_name(name: str) -> str:
    """A parameter as it is typed."""
    return f"-{name}" if len(name) == 1 else f"--{name.replace('_', '-')}"


def text_of(value: str | None) -> str | None:
    """An argument that is text: refuses bytes that are not UTF-8, which file names may have."""
    try:
        (value or "").encode()
    except UnicodeEncodeError as error:
        try:  # bytes that the locale, `LC_ALL=POSIX` for one, has no characters for
            return os.fsencode(value or "").decode()
        except UnicodeError:
            raise LangueError(
                f"{value!r} is not UTF-8: character {error.start + 1}; put the text in a file and convert "
                "it, for example with iconv"
            ) from None
    return value


def some_text(value: str | None) -> str | None:
    """`text_of` that refuses an empty one, of which nothing can be made: a variable of the shell, not set."""
    if value is not None and not value.strip():
        raise LangueError("the text is empty; give one, or a file")
    return text_of(value)


def texts_of(values: list[str] | None) -> list[str] | None:
    return None if values is None else [str(text_of(value)) for value in values]


def read_settings(assignments: list[str] | None, verb: Callable[..., object]) -> dict[str, Any]:
    """The `--set` of a command line as the settings that a function of the API takes by name.

    Raises:
        InvalidSetting: one has no `=`, or the name of something that is no setting but an argument.
    """
    from langue.base.config import read_assignments  # a sixth of the start of a command, which few need

    settings = read_assignments(assignments or ())
    for name in settings.keys() & inspect.signature(verb).parameters.keys():
        raise InvalidSetting(f"unknown key {name}: langue families NAME lists what can be set")
    return settings


def print_json(value: Any) -> None:
    """One JSON value on standard output; infinities must already be null."""
    print(json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False))


def read_lines(path: Path | str, text_field: str | None = None) -> list[str]:
    """Texts of a file, or of standard input for `-`: a line each, or a record's text each.

    Raises:
        LangueError: the file is missing, empty, binary or not UTF-8 (the byte is named).
    """
    from langue.corpus.read import read_texts

    return list(read_texts(str(path), text_field))


def read_line_batches(path: Path | str, text_field: str | None = None) -> Iterator[list[str]]:
    """`read_lines` by the stream: in batches, so that any number of them is never held at once."""
    from langue.corpus.stream import read_text_batches

    return read_text_batches(str(path), text_field)


def pieces_of(text: str | Sequence[str], done: str) -> Iterator[str | Sequence[str]]:
    """A plain text, or its tokens, in pieces of at most `LONGEST`, cut at blanks where it has some.

    Memory grows with a sentence, and what has no line ends would be one.

    Args:
        done: what is done with it, for the message.
    """
    begin = 0
    while len(text) - begin > LONGEST:
        end = begin + LONGEST
        if isinstance(text, str):
            end = text.rfind(" ", begin, end) + 1 or end
        yield text[begin:end]
        begin = end
    if begin:
        log.info("a text of over %s characters is %s in pieces", f"{LONGEST:,}", done)
    yield text[begin:]


def print_items(items: Iterable[Any]) -> None:
    """`print_json` of a list whose items come one by one."""
    begun = False
    for item in items:
        shown = json.dumps(item, ensure_ascii=False, indent=2, allow_nan=False).replace("\n", "\n  ")
        print(",\n  " if begun else "[\n  ", shown, sep="", end="")
        begun = True
    print("\n]" if begun else "[]")


def is_input(text: str) -> bool:
    """Whether an argument that may be a text names what is there to be read: `-`, a file or a pipe."""
    return text == "-" or Path(text).is_file() or Path(text).is_fifo()


def is_named_like_a_file(text: str) -> bool:
    """Whether a word is a folder, lies in one that is there, or ends like a file."""
    if not text or len(text.split()) != 1:
        return False
    path = Path(text)
    if path.is_dir() or path.suffix.lower() in ENDINGS:
        return True
    return text.startswith(("/", "./", "../", "~/")) or ("/" in text and path.parent.is_dir())


def names_input(text: str, verb: str) -> bool:
    """Whether an argument that may be a text names what is there to be read.

    Raises:
        NotFound: it looks like a file and is none.
    """
    if is_input(text):
        return True
    if is_named_like_a_file(text):
        raise no_such_input(text, verb)
    return False


def no_such_input(text: str, verb: str) -> NotFound:
    """What to say of an argument that looks like a file and is none."""
    if Path(text).is_dir():
        return NotFound(f"{text} is no file but a folder; name a file in it")
    return NotFound(
        f"no file {text}; a text that looks like one is read with: echo TEXT | langue {verb} MODEL -"
    )
