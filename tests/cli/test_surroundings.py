"""How a shell, a scheduler or a container starts, limits and ends a process, each as a user has it."""

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.cli.test_stopped import LANGUE, hear_ctrl_c, leftovers

import langue

TINY = ["size=tiny", "layers=1", "width=16", "heads=1", "context=16", "batch_tokens=64", "steps=3"]
SETTINGS = [part for setting in TINY for part in ("--set", setting)]


def command(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    options["env"] = {**os.environ, **options.pop("env", {})}
    given = [*LANGUE, *map(str, arguments)]
    return subprocess.run(given, capture_output=True, text=True, check=False, **options)


def one_sentence(said: str) -> str:
    (line,) = said.splitlines()
    assert line.startswith("langue: ")
    return line


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGXCPU])
@pytest.mark.parametrize("moment", ["langue.cli.next", "numpy"])
def test_a_signal_while_modules_are_imported(
    small_models: dict[str, Path], tmp_path: Path, kind: signal.Signals, moment: str
) -> None:
    (tmp_path / "sitecustomize.py").write_text(f"""
import os, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == {moment!r}:
            os.kill(os.getpid(), {int(kind)})
sys.meta_path.insert(0, Finder())
""")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = command("next", small_models["trigram"], "x", env={"PYTHONPATH": path}, preexec_fn=hear_ctrl_c)
    assert done.returncode == 128 + kind
    assert "interrupted" in one_sentence(done.stderr)


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("event", ["shutil.rmtree", "os.rename"])
def test_a_signal_that_comes_twice_while_things_are_put_in_order(
    small_store: Path, tmp_path: Path, kind: signal.Signals, event: str
) -> None:
    """Once when the model is being written, and once more while what was half-written is removed."""
    (tmp_path / "sitecustomize.py").write_text(f"""
import os, sys
def hook(event, arguments):
    if event == {event!r} and "model" in str(arguments[0]):
        os.kill(os.getpid(), {int(kind)})
sys.addaudithook(hook)
""")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    (tmp_path / "work").mkdir()
    done = command(
        "train", "ngram", small_store, "-o", "model",
        cwd=tmp_path / "work", env={"PYTHONPATH": path}, preexec_fn=hear_ctrl_c,
    )  # fmt: skip
    assert done.returncode in (0, 128 + kind), done.stderr
    assert "Traceback" not in done.stderr
    assert leftovers(tmp_path / "work") in ([], ["model"])


def test_twice_at_the_end_is_one_sentence(tmp_path: Path) -> None:
    with subprocess.Popen(
        [*LANGUE, "prepare", "-", "-o", "store"],
        cwd=tmp_path, stdin=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=hear_ctrl_c,
    ) as process:  # fmt: skip
        assert process.stdin is not None and process.stderr is not None
        process.stdin.write(b"a line of text\n" * 100_000)
        process.stdin.flush()
        for _ in range(5):
            process.send_signal(signal.SIGTERM)
        said = process.stderr.read().decode()
    assert process.returncode == 143
    assert "interrupted" in one_sentence(said)
    assert leftovers(tmp_path) == []


def test_nohup_keeps_a_training_from_a_lost_connection(small_store: Path, tmp_path: Path) -> None:
    def nohup() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    with subprocess.Popen(
        [*LANGUE, "train", "gpt2", str(small_store), "-o", "model", *SETTINGS, "--set", "steps=300"],
        cwd=tmp_path, stderr=subprocess.PIPE, preexec_fn=nohup,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        while b"step" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGHUP)
        process.stderr.read()
    assert process.returncode == 0


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "ascii"])
def test_an_output_that_is_not_utf8(small_models: dict[str, Path], encoding: str) -> None:
    for arguments in (
        ("--help",),
        ("next", small_models["trigram"], "第一"),
        ("score", small_models["trigram"], "-"),
    ):
        done = command(*arguments, env={"PYTHONIOENCODING": encoding}, input="The king")
        assert done.returncode == 0, done.stderr
        assert done.stdout and not done.stderr


def test_a_locale_without_characters_for_a_text(small_models: dict[str, Path]) -> None:
    """Its bytes are UTF-8 whatever Python takes them for."""
    plain = {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "utf-8"}
    done = command("score", "--json", small_models["trigram"], "-", env=plain, input="国王")
    assert done.returncode == 0 and "国王" in done.stdout
    usual = command("next", small_models["trigram"], "国王").stdout
    assert command("next", small_models["trigram"], "国王", env=plain).stdout == usual != ""


def test_without_a_standard_error_or_output(small_store: Path, tmp_path: Path) -> None:
    for closed in ("2>&-", ">&-", "<&-", "<&- >&- 2>&-"):
        train = f"{sys.executable} -m langue train ngram {small_store} -o model --overwrite {closed}"
        done = subprocess.run(
            ["bash", "-c", train], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, (closed, done.stderr)
        assert langue.load(tmp_path / "model")


def test_one_closed_stream_is_not_taken_for_another(small_models: dict[str, Path], tmp_path: Path) -> None:
    """What is filtered goes to standard output, its report to standard error, or nowhere; never to a file."""
    (tmp_path / "text").write_text("a\nThe king is dead.\n")
    filtered = f"{sys.executable} -m langue filter text --min-bytes 3"
    for script, expected in (
        (f"{filtered} 2>&-", "The king is dead.\n"),
        (f"{filtered} <&- >kept 2>&-; cat kept", "The king is dead.\n"),
        (f"{filtered} 2>/dev/null >&-", ""),
        (f"{sys.executable} -m langue score {small_models['trigram']} text >&-", ""),
    ):
        done = subprocess.run(
            ["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, expected, "")


def test_a_closed_standard_input_is_told(small_models: dict[str, Path], tmp_path: Path) -> None:
    for verb in (f"score {small_models['trigram']} -", "prepare - -o store"):
        done = subprocess.run(
            ["bash", "-c", f"{sys.executable} -m langue {verb} <&-"],
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 2
        assert "standard input is closed" in one_sentence(done.stderr)
    assert leftovers(tmp_path) == []


def test_a_limit_on_memory_leaves_one_thread_and_not_an_interrupt(small_models: dict[str, Path]) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (600_000 << 10, 600_000 << 10))

    done = command("next", small_models["trigram"], "king", preexec_fn=limit)
    assert done.returncode in (0, 2)
    assert "interrupted" not in done.stderr and "Traceback" not in done.stderr
    assert "going on with one" in done.stderr


def test_a_network_that_has_no_room_is_refused(small_models: dict[str, Path]) -> None:
    """The loader of its libraries would end the process with a signal."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (600_000 << 10, 600_000 << 10))

    done = command("next", small_models["gpt2"], "king", preexec_fn=limit)
    assert done.returncode == 2, done.stderr
    assert "ulimit -v" in one_sentence(done.stderr.splitlines()[-1])


def test_a_switch_for_debuggers_of_numba(small_models: dict[str, Path]) -> None:
    done = command("next", small_models["trigram"], "king", env={"NUMBA_DISABLE_JIT": "1"})
    assert done.returncode == 2
    assert "NUMBA_DISABLE_JIT" in one_sentence(done.stderr)


def test_a_full_disk_of_compiled_code_stops_nothing(small_models: dict[str, Path], tmp_path: Path) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

    done = command(
        "next", small_models["trigram"], "king", env={"NUMBA_CACHE_DIR": str(tmp_path)}, preexec_fn=limit
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("set NUMBA_CACHE_DIR") == 1
    assert not list(tmp_path.rglob("*.code")) and not list(tmp_path.rglob(".*"))


@pytest.mark.parametrize("kind", ["volume", "long name", "dangling link"])
def test_an_output_that_cannot_be_is_refused_before_the_work_or_written(
    small_store: Path, tmp_path: Path, kind: str
) -> None:
    """Of a training by gradient, which keeps its run beside the model."""
    output = tmp_path / {"volume": "volume", "long name": "m" * 256, "dangling link": "link"}[kind]
    if kind == "volume":
        output.mkdir()
        if subprocess.run(
            ["mount", "-t", "tmpfs", "none", output], capture_output=True, check=False
        ).returncode:
            pytest.skip("needs the right to mount")
    elif kind == "dangling link":
        output.symlink_to("there")
    try:
        done = command("train", "gpt2", small_store, "-o", output, *SETTINGS)
        if kind == "long name":
            assert done.returncode == 2 and "too long" in one_sentence(done.stderr)
        else:
            assert done.returncode == 0, done.stderr
            assert langue.load(output)
            assert len(leftovers(tmp_path)) == (1 if kind == "volume" else 2)
    finally:
        if kind == "volume":
            subprocess.run(["umount", output], check=True)


def test_a_training_into_a_volume_is_stopped_and_goes_on(small_store: Path, tmp_path: Path) -> None:
    """Its run lies within: what is beside a volume is gone with the container."""
    volume = tmp_path / "volume"
    volume.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "none", volume], capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount")
    try:
        arguments = ["train", "gpt2", str(small_store), "-o", str(volume), *SETTINGS, "--set", "steps=2000"]
        with subprocess.Popen(
            [*LANGUE, *arguments], stderr=subprocess.PIPE, preexec_fn=hear_ctrl_c
        ) as process:
            assert process.stderr is not None
            while b"step" not in process.stderr.readline():
                assert process.poll() is None
            process.send_signal(signal.SIGTERM)
            process.stderr.read()
        assert process.returncode == 143
        assert langue.load(volume).info()["measured"]["interrupted"]
        assert (volume / "langue.run").is_dir()
        done = command(*arguments, "--set", "steps=20", "--resume")
        assert done.returncode == 0, done.stderr
        assert not langue.load(volume).info()["measured"]["interrupted"]
        assert not (volume / "langue.run").exists() and leftovers(tmp_path) == ["volume"]
    finally:
        subprocess.run(["umount", volume], check=True)


def test_an_interrupt_that_a_callback_of_a_library_loses_comes_again(tmp_path: Path) -> None:
    """LLVM calls back while it compiles; what is raised there Python shows, and drops."""
    (tmp_path / "sitecustomize.py").write_text("""
import ctypes, os, signal, sys

@ctypes.CFUNCTYPE(None)
def callback():
    os.kill(os.getpid(), signal.SIGTERM)
    for _ in range(1000):
        pass

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "langue.cli.parser":
            callback()
            import time
            time.sleep(10)
sys.meta_path.insert(0, Finder())
""")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = command("--version", env={"PYTHONPATH": path}, preexec_fn=hear_ctrl_c)
    assert done.returncode == 128 + signal.SIGTERM
    assert "interrupted" in one_sentence(done.stderr)


@pytest.mark.parametrize("line", ["doctor", "next {} king", "prepare x.txt -o store", "families", "info x"])
def test_a_working_folder_that_is_gone(small_models: dict[str, Path], tmp_path: Path, line: str) -> None:
    """The mathematics library of torch ends the process there."""
    gone = tmp_path / "gone"
    gone.mkdir()
    given = line.format(small_models["gpt2"])
    script = f"cd {gone} && rmdir {gone} && exec {sys.executable} -m langue {given}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "working folder is gone" in one_sentence(done.stderr)


@pytest.fixture(scope="module")
def labeled(tmp_path_factory: pytest.TempPathFactory, small_store: Path) -> Path:
    """Labeled files, and what learned from them: a `crf`, and a `bert` that became `classifier`."""
    folder = tmp_path_factory.mktemp("labeled")
    (folder / "conll").write_text("Anna B-PER\nsees O\nRome B-LOC\n\nBen B-PER\nleaves O\n\n" * 6)
    (folder / "tsv").write_text("".join(f"good text {n}\tyes\nbad text {n}\tno\n" for n in range(20)))
    (folder / "jsonl").write_text('{"text": "good", "label": "yes"}\n{"text": "bad", "label": "no"}\n')
    langue.train("crf", folder / "conll", folder / "crf", iterations=3)
    langue.train("infinigram", small_store, folder / "infinigram")
    tiny = {"layers": 1, "width": 16, "heads": 1, "context": 16, "steps": 2, "batch_tokens": 64}
    langue.train("bert", small_store, folder / "bert", **tiny)
    langue.finetune(folder / "bert", folder / "tsv", folder / "classifier", epochs=1, seeds=1)
    return folder


READS = (  # verb, model, what is read, and options; the model of a trained one is what it makes
    "score trigram text", "evaluate trigram text", "evaluate trigram text --format kenlm",
    "copied infinigram text", "tag crf text --format text", "tag crf conll --format conll",
    "evaluate crf conll", "classify classifier text", "evaluate classifier tsv", "evaluate classifier jsonl",
    "embed bert text", "score bert text", "evaluate bert text",
)  # fmt: skip


@pytest.mark.parametrize("line", READS)
def test_standard_input_a_pipe_and_a_file_mean_the_same(
    small_models: dict[str, Path], small_text: Path, labeled: Path, tmp_path: Path, line: str
) -> None:
    import io
    from contextlib import redirect_stdout
    from threading import Thread

    from langue import cli

    verb, model, kind, *options = line.split()
    folder = small_models[model] if model in small_models else labeled / model
    content = b"The king is dead.\nLong live the king.\n" if kind == "text" else (labeled / kind).read_bytes()
    path, pipe = tmp_path / "file", tmp_path / "pipe"
    path.write_bytes(content)
    os.mkfifo(pipe)
    printed = []
    for given in (str(path), "-", str(pipe)):
        out = io.StringIO()
        standard = sys.stdin
        writer = Thread(target=pipe.write_bytes, args=(content,), daemon=True)
        if given == str(pipe):
            writer.start()
        sys.stdin = io.TextIOWrapper(io.BytesIO(content))
        try:
            with redirect_stdout(out):
                assert cli.run([verb, str(folder), given, *options]) == 0
        finally:
            sys.stdin = standard
        said = out.getvalue().replace(f"all of {given}", "all of it")
        printed.append([word for word in said.split() if not word.endswith("s/s")])
    assert printed[0] == printed[1] == printed[2] != []


@pytest.mark.parametrize("verb", ["train crf -", "finetune bert -"])
def test_a_training_wants_its_labels_in_a_file(
    labeled: Path, tmp_path: Path, verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from langue import cli

    given = [str(labeled / part) if part == "bert" else part for part in verb.split()]
    assert cli.run([*given, "-o", str(tmp_path / "new")]) == 2
    assert "put it in a file" in one_sentence(capsys.readouterr().err)
    assert not leftovers(tmp_path)
