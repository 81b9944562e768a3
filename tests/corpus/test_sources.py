"""Files, folders, pipes and packings: what is read, what is passed over, and what can never be read."""

import bz2
import gzip
import io
import lzma
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from langue.base.errors import LangueError
from langue.corpus import pipes
from langue.corpus.config import DataConfig
from langue.corpus.ledger import Ledger
from langue.corpus.read import read, read_texts
from langue.corpus.sources import Source, collect, find, open_source
from langue.interop import formats


def write(path: Path, data: bytes | str) -> Path:
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def test_folders_are_walked_in_order_and_what_is_passed_over_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "folder"
    (folder / "b").mkdir(parents=True)
    for name in ("b/2.txt", "1.md", "3.jsonl.gz", "c.png", ".hidden.txt", "LICENSE", "4.csv"):
        write(folder / name, "x")
    write(folder / "5.json", '[{"text": "a"}]')
    write(folder / "package.json", '{"name": "a"}')
    write(folder / "wiki_00", '{"id": 1, "text": "a"}\n')
    write(folder / "6.csv", "id,text\n1,a\n")
    ledger = Ledger()
    assert [Path(source.name).name for source in find([str(folder)], ledger)] == [
        "1.md", "3.jsonl.gz", "5.json", "6.csv", "2.txt", "wiki_00",
    ]  # fmt: skip
    assert ledger.read["files passed over"] == 4
    assert "passed over 4.csv, LICENSE, c.png, package.json; name a file itself" in caplog.text
    (tmp_path / "empty").mkdir()
    with pytest.raises(LangueError, match="no text files"):
        find([str(tmp_path / "empty")])


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a", "a.txt.gz"])
@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_packing_is_told_by_the_first_bytes(
    tmp_path: Path, name: str, pack: Callable[[bytes], bytes]
) -> None:
    line = b'{"text": "word"}\n'
    path = write(tmp_path / name, pack(line * 5000))
    with open_source(Source(str(path), path)) as file:
        assert file.read() == line * 5000
    write(path, pack(line * 5000)[:-20])
    with pytest.raises(LangueError, match="damaged or cut short"), open_source(Source("a", path)) as file:
        file.read()
    write(path, pack(b""))
    with open_source(Source("a", path)) as file:
        assert file.read() == b""


@pytest.mark.parametrize("packing", [".gz", ".zst", ".xz", ".bz2"])
def test_a_small_file_that_unpacks_to_a_large_one_takes_little_memory(
    tmp_path: Path, packing: str, memory_of: Callable[[Callable[[], object]], int]
) -> None:
    data = b"a" * (64 << 20)
    if packing == ".zst":
        data = pytest.importorskip("zstandard").ZstdCompressor().compress(data)
    else:
        data = {".gz": gzip.compress, ".xz": lzma.compress, ".bz2": bz2.compress}[packing](data)
    path = write(tmp_path / "a", data)

    def run() -> None:
        with open_source(Source("a", path)) as file:
            while file.read(1 << 20):
                pass

    assert memory_of(run) < 40 << 20


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    for device in ("/dev/zero", "/dev/null"):
        if Path(device).exists():
            with pytest.raises(LangueError, match="is no file"):
                find([device])
            with pytest.raises(LangueError, match="is a device"), open_source(Source(device, Path(device))):
                pass
    memory = Path("/proc/self/mem")
    if memory.exists():  # opens, and refuses to be read
        with pytest.raises(LangueError, match="cannot read /proc/self/mem: "):
            list(read([Source(str(memory), memory)], DataConfig(), Ledger()))
    with pytest.raises(LangueError, match=r"cannot read gone\.txt: "):
        list(read_all(tmp_path / "gone.txt"))


def read_all(path: Path) -> list[bytes]:
    with open_source(Source(path.name, path)) as file:
        return [file.read()]


def test_standard_input_is_read_or_said_to_be_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(gzip.compress(b'{"text": "a"}'))))
    assert list(read_texts("-")) == ["a"]
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(LangueError, match="standard input is closed"):
        list(read_texts("-"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_read_once_something_writes_to_it_and_given_up_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(LangueError, match="is no file"):
        find([str(pipe)])
    writer = threading.Thread(target=lambda: pipe.write_text("a\n" * 100_000))
    writer.start()
    assert list(read_texts(str(pipe))) == ["a"] * 100_000
    writer.join()
    monkeypatch.setattr(pipes, "WAIT", 0.2)
    with pytest.raises(LangueError, match="nothing writes into the pipe"), collect([str(pipe)]):
        pass
    reader, end = os.pipe()  # as the shell's <(…) gives
    os.write(end, b'{"text": "b"}\n')
    os.close(end)
    assert list(read_texts(f"/dev/fd/{reader}")) == ["b"]
    os.close(reader)


def test_what_reads_a_file_twice_names_a_pipe_as_one(tmp_path: Path) -> None:
    """`no file /dev/fd/63` would be false, and reading what nothing writes would never end."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(LangueError, match="a socket or a pipe"):
        formats.recognize(tmp_path / "pipe")
