"""Corpora in an object store, and stores and models written there: in memory, and beside an S3-like server.

`make object-store` installs what the server and its client are, 100 MB; the tests of S3 are skipped without.
"""

import itertools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import langue
from langue.base import remote
from langue.base.errors import Damaged, LangueError, MissingExtra, NotFound
from langue.base.files import check_file_free
from langue.base.urls import url_of
from langue.tokens.store import TokenStore

fsspec = pytest.importorskip("fsspec")
LINES = [f"line {n} of a text 第{n * n}句" for n in range(120)]
names = itertools.count()


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of an S3-like server."""
    moto = pytest.importorskip("moto.server", reason="moto is not installed: make object-store")
    pytest.importorskip("s3fs", reason="s3fs is not installed: make object-store")
    running = moto.ThreadedMotoServer(port=0)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture(params=["memory", "s3"])
def bucket(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """The URL of an empty bucket."""
    monkeypatch.setattr(remote, "user_cache", lambda name: tmp_path / "cache" / name)
    if request.param == "s3":
        monkeypatch.setenv("AWS_ENDPOINT_URL", request.getfixturevalue("server"))
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "testing")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    url = f"{request.param}://bucket-{next(names)}"
    files, name = fsspec.url_to_fs(url)
    files.mkdir(name)
    return url


@pytest.fixture
def corpus(bucket: str, tmp_path: Path) -> str:
    """The URL of a folder of texts, which stand in `tmp_path / "corpus"`, too."""
    (tmp_path / "corpus" / "below").mkdir(parents=True)
    (tmp_path / "corpus" / "a.txt").write_text("\n".join(LINES[:60]), encoding="utf-8")
    (tmp_path / "corpus" / "below" / "b.txt").write_text("\n".join(LINES[60:]), encoding="utf-8")
    put(tmp_path / "corpus", f"{bucket}/corpus")
    return f"{bucket}/corpus"


def put(folder: Path, url: str) -> None:
    files, name = fsspec.url_to_fs(url)
    for path in folder.rglob("*"):
        if path.is_file():
            files.pipe_file(f"{name}/{path.relative_to(folder).as_posix()}", path.read_bytes())


def there(url: str) -> set[str]:
    files, name = fsspec.url_to_fs(url, use_listings_cache=False)
    return {path.removeprefix(f"{name}/") for path in files.find(name)}


def test_what_is_a_url() -> None:
    assert url_of("s3://bucket/name") == url_of(Path("s3://bucket/name")) == "s3://bucket/name"
    for path in ("model", "/model", "C:/model", "a/b:/c", "s3:", "S3 notes: /a"):
        assert url_of(path) is None


def test_a_corpus_comes_in_and_a_model_goes_out(corpus: str, bucket: str, tmp_path: Path) -> None:
    given: dict[str, Any] = {"documents": "line", "vocabulary": 300}
    langue.prepare(tmp_path / "corpus", tmp_path / "store", **given)
    langue.train("ngram", tmp_path / "store", tmp_path / "model", order=3)
    report = langue.prepare(corpus, f"{bucket}/store", **given)
    assert str(report).startswith(f"{bucket}/store: ")
    model = langue.train("ngram", f"{bucket}/store", f"{bucket}/model", order=3)

    assert TokenStore(f"{bucket}/store").fingerprint == TokenStore(tmp_path / "store").fingerprint
    assert there(f"{bucket}/model") == {path.name for path in (tmp_path / "model").iterdir()}
    files, name = fsspec.url_to_fs(bucket)
    tables = list((tmp_path / "model").glob("*.npy"))
    assert tables and all(files.cat_file(f"{name}/model/{path.name}") == path.read_bytes() for path in tables)
    text = LINES[3]
    assert list(model.score(text).bits) == list(langue.load(tmp_path / "model").score(text).bits)
    scores = langue.write_scores(f"{bucket}/model", [f"{corpus}/a.txt"])
    assert list(scores) == list(langue.write_scores(tmp_path / "model", [str(tmp_path / "corpus" / "a.txt")]))


def test_what_is_there_is_replaced_only_if_it_may_be(corpus: str, bucket: str) -> None:
    given: dict[str, Any] = {"documents": "line", "kind": "chars"}
    with pytest.raises(LangueError, match=r"corpus holds other files \(no manifest.json among them\)"):
        langue.prepare(corpus, corpus, overwrite=True, **given)
    with pytest.raises(LangueError, match=r"corpus/a\.txt is a file; give the name of a folder"):
        langue.prepare(corpus, f"{corpus}/a.txt", overwrite=True, **given)
    langue.prepare(corpus, f"{bucket}/store", **given)
    files, name = fsspec.url_to_fs(f"{bucket}/store")
    files.pipe_file(f"{name}/stale", b"of another one")
    with pytest.raises(LangueError, match="store already exists; choose another name, or pass overwrite"):
        langue.prepare(corpus, f"{bucket}/store", **given)
    langue.prepare(corpus, f"{bucket}/store", overwrite=True, **given)
    assert "stale" not in there(f"{bucket}/store") and "manifest.json" in there(f"{bucket}/store")
    assert there(corpus) == {"a.txt", "below/b.txt"}


def test_a_folder_that_did_not_arrive_whole_is_none(
    corpus: str, bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The marker comes last, and the next call takes the place of what is there."""

    class Cut:
        """A file system whose line is cut before the last file."""

        def __init__(self, files: Any) -> None:
            self.files = files

        def __getattr__(self, name: str) -> Any:
            return getattr(self.files, name)

        def put_file(self, path: str, name: str) -> None:
            if name.endswith("manifest.json"):
                raise OSError("the line was cut")
            self.files.put_file(path, name)

    store_of = remote._store_of
    given: dict[str, Any] = {"documents": "line", "kind": "chars"}
    with monkeypatch.context() as patch:
        patch.setattr(remote, "_store_of", lambda url: store_of(url)._replace(files=Cut(store_of(url).files)))
        with pytest.raises(LangueError, match=r"the line was cut.*\(what was made is whole in .*store\)"):
            langue.prepare(corpus, f"{bucket}/store", **given)
    partial = there(f"{bucket}/store")
    assert "manifest.json" not in partial and {"train.tokens", remote.UNFINISHED} < partial
    with pytest.raises(LangueError, match="is not a token store"):
        TokenStore(f"{bucket}/store")
    remote._here.clear()
    langue.prepare(corpus, f"{bucket}/store", **given)
    assert there(f"{bucket}/store") == partial - {remote.UNFINISHED} | {"manifest.json"}


def test_bad_input_is_a_sentence(corpus: str, bucket: str, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=rf"^there is nothing at {bucket}/nowhere$"):
        langue.prepare(f"{bucket}/nowhere", tmp_path / "store")
    files, name = fsspec.url_to_fs(bucket)
    files.pipe_file(f"{name}/empty/x.bin", b"\0")
    with pytest.raises(NotFound, match=rf"^no text files in {bucket}/empty \("):
        langue.prepare(f"{bucket}/empty", tmp_path / "store")
    with pytest.raises(
        LangueError, match=rf"^{bucket}/scores is of an object store, where langue writes what"
    ):
        check_file_free(Path(f"{bucket}/scores"), overwrite=True)
    files.pipe_file(f"{name}/model/model.json", b"{")
    with pytest.raises(Damaged):
        langue.load(f"{bucket}/model")


def test_processes_of_torchrun_meet_in_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(LangueError, match="processes of torchrun meet in a folder"):
        langue.train("ngram", "store", "memory://bucket/model")


def test_an_object_store_that_nobody_knows_or_reads_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LangueError, match=r"^what://x/y is of no object store that fsspec knows"):
        langue.load("what://x/y")
    with pytest.raises(LangueError, match=r"^gs://x/y: .*gcsfs"):
        langue.load("gs://x/y")

    def absent(*given: Any, **named: Any) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec, "url_to_fs", absent)
    with pytest.raises(MissingExtra, match=r"needs the package s3fs: pip install 'langue\[remote\]'"):
        langue.load("s3://x/y")


def test_the_command_line_takes_urls(corpus: str, bucket: str) -> None:
    if bucket.startswith("memory"):
        pytest.skip("memory is that of one process")
    command = [sys.executable, "-m", "langue"]
    for arguments in (
        ["prepare", corpus, "-o", f"{bucket}/store", "--documents", "line", "--tokenizer", "chars"],
        ["train", "ngram", f"{bucket}/store", "-o", f"{bucket}/model", "--workers", "2"],
        ["score", f"{bucket}/model", f"{corpus}/a.txt"],
    ):
        done = subprocess.run([*command, *arguments], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 61
