"""Kill, or interrupt, commands before each of their file-system steps, and run the same command again.

    OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false python tests/cli/kills.py [--points N] [NAME ...]

N: steps of each command that are tried, spread over all of them; 0: every one (`make kills`).

Whatever the step, the same command again must finish, or say that its output is there, which must then be
whole; an output that is being replaced is whole all the time; and after success nothing is left beside it.
A child for each try is forked from a process in which everything was run once, so each takes a moment.
Threads do not outlive a fork, so there may be none.
"""

import argparse
import contextlib
import io
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import langue
from langue import __main__, cli

CHANGES = (
    "os.rename",
    "os.remove",
    "os.mkdir",
    "os.rmdir",
    "os.truncate",
    "os.link",
    "os.symlink",
    "os.chmod",
)
TEXT = "The king is dead. Long live the king! Nobody knows what comes after the king of {}.\n"
TINY = ["layers=1", "width=16", "heads=1", "context=16", "batch_tokens=64", "evaluations=2"]
OFTEN = [*TINY, "steps=3", "checkpoint_minutes=0.0000001"]
CONLL = "Anna B-PER\nsees O\nRome B-LOC\n\nBen B-PER\nleaves O\nParis B-LOC\n\n" * 6
UNFINISHED = "holds an unfinished run"


class Scenario(NamedTuple):
    """A command, and what is there before it."""

    name: str
    command: list[str]
    output: str
    inputs: tuple[str, ...]  # names below the folder of what was made once
    old: str = ""  # which of them stands at the output before


def settings(*values: str) -> list[str]:
    return [part for value in values for part in ("--set", value)]


TRAINED = {
    "ngram": ["train", "ngram", "store", *settings("order=2")],
    "hmm": ["train", "hmm", "store", *settings("states=2", "iterations=2")],
    "crf": ["train", "crf", "conll.txt", *settings("iterations=3")],
    "gpt2": ["train", "gpt2", "store", *settings(*OFTEN)],
    "finetune": ["finetune", "bert", "tsv.txt", *settings("epochs=1", "seeds=1")],
}


def scenarios() -> Iterator[Scenario]:
    prepare = ["prepare", "text.txt", "-o", "out", "--vocabulary", "300", *settings("valid_fraction=0.2")]
    yield Scenario("prepare", prepare, "out", ("text.txt",))
    yield Scenario("prepare-dropped", [*prepare, "--dropped", "dropped", "--overwrite"], "out", ("text.txt",))
    yield Scenario("prepare-overwrite", [*prepare, "--overwrite"], "out", ("text.txt", "store"), "store")
    for name, command in TRAINED.items():
        inputs = tuple(part for part in command[:3] if part in ("store", "conll.txt", "bert", "tsv.txt"))
        yield Scenario(name, [*command, "-o", "out"], "out", inputs)
        old = {"crf": "tagger", "finetune": "classifier"}.get(name, "old")
        yield Scenario(
            f"{name}-overwrite", [*command, "-o", "out", "--overwrite"], "out", (*inputs, old), old
        )
        if name in ("ngram", "gpt2", "hmm", "finetune"):
            yield Scenario(f"{name}-resume", [*command, "-o", "out", "--resume"], "out", inputs)
    yield Scenario("export-arpa", ["export", "old", "-o", "out"], "out", ("old",))
    yield Scenario("export-gpt2", ["export", "gpt", "-o", "out"], "out", ("gpt",))
    for name, file in {"arpa": "old.arpa", "gpt2": "exported"}.items():
        command = ["import", file, "-o", "out"]
        old = {"arpa": "old", "gpt2": "gpt"}[name]
        yield Scenario(f"import-{name}", command, "out", (file,))
        yield Scenario(f"import-{name}-overwrite", [*command, "--overwrite"], "out", (file, old), old)
    embed = ["embed", "bert", "text.txt", "-o", "out"]
    yield Scenario("embed", embed, "out", ("bert", "text.txt"))
    inputs = ("bert", "text.txt", "vectors")
    yield Scenario("embed-overwrite", [*embed, "--overwrite"], "out", inputs, "vectors")
    index = ["similar", "good text", "text.txt", "--model", "bert", "--passages", "line", "--index", "out"]
    yield Scenario("similar-index", index, "out", ("bert", "text.txt"))
    again = ["export", "gpt", "-o", "out", "--overwrite"]
    yield Scenario("export-gpt2-overwrite", again, "out", ("gpt", "exported"), "exported")


def make_inputs(folder: Path, asked: list[Scenario]) -> None:
    """What some commands read, and once what they do: a child has the code that was compiled or imported."""
    os.chdir(folder)
    Path("text.txt").write_text("".join(TEXT.format(number) + "\n" for number in range(200)))
    Path("conll.txt").write_text(CONLL)
    lines = [f"good text {n}\tyes\nbad text {n}\tno\n" for n in range(30)]
    Path("tsv.txt").write_text("".join(lines))
    made = {
        "store": ["prepare", "text.txt", "--vocabulary", "300", *settings("valid_fraction=0.2")],
        "old": TRAINED["ngram"],
        "gpt": ["train", "gpt2", "store", *settings(*TINY, "steps=2")],
        "bert": ["train", "bert", "store", *settings(*TINY, "steps=2")],
        "hmm": TRAINED["hmm"],
        "tagger": TRAINED["crf"],
        "classifier": TRAINED["finetune"],
        "exported": ["export", "gpt"],
        "old.arpa": ["export", "old"],
        "vectors": ["embed", "bert", "text.txt"],
    }
    needed = {name for one in asked for name in one.inputs}
    needed |= {name for name, command in made.items() if any(command[:2] == one.command[:2] for one in asked)}
    for name, command in reversed(made.items()):
        if name in needed:
            needed.update(command)
    for name, command in made.items():
        if name in needed:
            with contextlib.redirect_stdout(io.StringIO()):
                assert cli.run([*command, "-o", name, "--quiet"]) == 0, command


def in_child(folder: Path, command: list[str], act: Callable[[int], None] | None) -> tuple[int, str, int]:
    """Run a command in a child: its exit code (-9 where it was killed), what it said, and its steps.

    Args:
        act: called with the number of each step, before it.
    """
    reading, writing = os.pipe()
    log = folder.parent / "said"
    child = os.fork()
    if not child:
        os.close(reading)
        said = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(said, 1)
        os.dup2(said, 2)
        os.chdir(folder)
        __main__.hear()
        if act is not None:
            sys.addaudithook(counting(folder, act, writing))
        code = 70
        try:
            code = cli.run(command)
        except KeyboardInterrupt:
            code = 130
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(code)
    os.close(writing)
    steps = 0
    while block := os.read(reading, 65536):
        steps += len(block)
    os.close(reading)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), log.read_text(errors="replace"), steps


def counting(folder: Path, act: Callable[[int], None], pipe: int) -> Callable[[str, tuple[Any, ...]], None]:
    """A hook that hears of each change within a folder before it is made."""
    count = 0
    inside = False

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count, inside
        if inside:
            return
        if event == "open":
            path, mode, flags = arguments
            changes = isinstance(path, str | bytes) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
            changes = changes or (isinstance(mode, str) and any(letter in mode for letter in "wax+"))
        elif event == "ctypes.dlsym":  # `renameat2`
            path, changes = str(folder / "exchange"), arguments[1] == "renameat2"
        else:
            path, changes = arguments[0] if arguments else None, event in CHANGES
        if not changes or not isinstance(path, str | bytes):
            return
        inside = True
        try:
            if (Path.cwd() / os.fsdecode(path)).is_relative_to(folder):
                os.write(pipe, b".")
                act(count)
                count += 1
        finally:
            inside = False

    return hook


def is_whole(path: Path) -> bool:
    """Whether an output of any kind can be used."""
    try:
        if (path / "model.json").exists():
            langue.load(path)
        elif path.is_dir() and (path / "manifest.json").exists():
            from langue.tokens.store import TokenStore

            TokenStore(path)
        elif (path / "index.json").exists():
            return len(np.load(path / "vectors.npy")) >= 200
        elif path.is_dir():
            return (path / "config.json").exists() and (path / "model.safetensors").exists()
        elif path.read_bytes().startswith(b"\x93NUMPY"):
            return len(np.load(path)) >= 200  # a cut file has fewer than its head says, and is refused
        else:
            return path.read_text().rstrip().endswith("\\end\\")
    except Exception as error:
        print(f"    {type(error).__name__}: {error}")
        return False
    return True


def fresh(made: Path, folder: Path, scenario: Scenario) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name in scenario.inputs:
        if name != scenario.old or name in scenario.command:
            (folder / name).symlink_to(made / name)
    if scenario.old:
        copy = shutil.copytree if (made / scenario.old).is_dir() else shutil.copyfile
        copy(made / scenario.old, folder / scenario.output)


def left_over(folder: Path, scenario: Scenario) -> list[str]:
    expected = {*scenario.inputs, scenario.output, "dropped"}
    return sorted(path.name for path in folder.iterdir() if path.name not in expected)


def attempt(made: Path, folder: Path, scenario: Scenario, at: int, kind: signal.Signals) -> str:
    """Stop a command before one of its steps and run it again; what is wrong then, or nothing."""
    fresh(made, folder, scenario)

    def act(step: int) -> None:
        if step == at:
            os.kill(os.getpid(), kind)

    code, said, _ = in_child(folder, scenario.command, act)
    if "Traceback" in said:
        return f"a traceback: {said[-1500:]}"
    if kind != signal.SIGKILL and code not in (0, 130):
        return f"exit code {code}: {said[-300:]}"
    if scenario.old and not is_whole(folder / scenario.output):
        return "the old output was gone before the new one was there"
    return again(folder, scenario)


def again(folder: Path, scenario: Scenario) -> str:
    """Run a command that was stopped once more; what is wrong then, or nothing."""
    code, said, _ = in_child(folder, scenario.command, None)
    if code == 2 and "already exists" in said and "--resume" not in scenario.command:
        return "" if is_whole(folder / scenario.output) else "it says it exists, and is not whole"
    if code == 2 and UNFINISHED in said and "--resume" not in scenario.command:
        code, said, _ = in_child(folder, [*scenario.command, "--resume"], None)
    if code:
        return f"again: exit code {code}: {said[-300:]}"
    if not is_whole(folder / scenario.output):
        return "again: the output is not whole"
    if left := left_over(folder, scenario):
        return f"again: left over {', '.join(left)}"
    return ""


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--points", type=int, default=0)
    parser.add_argument("names", nargs="*")
    given = parser.parse_args()
    assert os.environ.get("OMP_NUM_THREADS") == "1", "set OMP_NUM_THREADS=1: threads do not outlive a fork"
    wrong = tried = 0
    with tempfile.TemporaryDirectory() as base:
        made, folder = Path(base).resolve() / "made", Path(base).resolve() / "work"
        made.mkdir()
        asked = [one for one in scenarios() if not given.names or one.name in given.names]
        make_inputs(made, asked)
        for scenario in asked:
            fresh(made, folder, scenario)
            code, said, steps = in_child(folder, scenario.command, lambda step: None)
            assert code == 0, (scenario, said)
            chosen = range(steps)
            if given.points and steps > given.points:
                chosen = sorted({round(n * (steps - 1) / (given.points - 1)) for n in range(given.points)})
            for kind in (signal.SIGKILL, signal.SIGINT):
                for at in chosen:
                    tried += 1
                    if problem := attempt(made, folder, scenario, at, kind):
                        wrong += 1
                        print(
                            f"{scenario.name}, {kind.name} before step {at} of {steps}: {problem}", flush=True
                        )
            print(f"{scenario.name}: {len(chosen)} of {steps} steps", flush=True)
    print(f"{tried} tries, {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
