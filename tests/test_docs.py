"""Pages are true: their code runs, prints what they say, and passes the type checker; no name is left out."""

import contextlib
import gzip
import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import pytest

import langue
from langue.api.listing import settings_page
from langue.corpus.sample import sample_path

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("README*.md"), *ROOT.glob("docs/*.md")])
PRINTED = re.compile(r"```python\n(.*?)```\n+```\n(.*?)```", re.DOTALL)
CODE = re.compile(r"```python\n(.*?)```", re.DOTALL)
FACES = [
    langue.Model,
    langue.CausalModel,
    langue.InfiniGramModel,
    langue.HMMModel,
    langue.Seq2SeqModel,
    langue.MaskedModel,
    langue.TaggerModel,
    langue.ClassifierModel,
]


def code_of(page: Path) -> str:
    return "\n\n".join(CODE.findall(page.read_text(encoding="utf-8")))


@pytest.mark.parametrize("page", ["kneser-ney"])
def test_pages_print_what_they_say(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    pairs = PRINTED.findall((ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8"))
    assert pairs
    for code, expected in pairs:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, page, "exec"), names)
        assert printed.getvalue() == expected


@pytest.mark.slow
@pytest.mark.parametrize("page", ["README.md", "README.zh-CN.md", "docs/kenlm.md", "docs/python.md"])
def test_the_code_of_pages_runs(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lay_out_what_pages_speak_of()
    exec(compile(code_of(ROOT / page), page, "exec"), {})


def lay_out_what_pages_speak_of() -> None:
    """A text, a folder of novels, and the model `gpt` that the READMEs train on the command line."""
    with gzip.open(sample_path("english"), "rt", encoding="utf-8") as file:
        text = file.read(100_000)
    Path("text").write_text(text, encoding="utf-8")
    for folder in ("novels", "小说"):
        Path(folder).mkdir()
        for number, chapter in enumerate(text[start : start + 1_000] for start in range(0, len(text), 1_000)):
            Path(folder, f"{number}.txt").write_text(chapter, encoding="utf-8")
    langue.prepare("novels", "earlier", vocabulary=600)
    langue.train("ngram", "earlier", "gpt", order=1)  # any model folder will do: `compare` asks for no family


@pytest.mark.slow
def test_the_code_of_all_pages_passes_the_type_checker(tmp_path: Path) -> None:
    files = []
    for page in PAGES:
        if code := code_of(page):
            files.append(tmp_path / (re.sub(r"\W", "_", page.stem) + ".py"))
            files[-1].write_text(code, encoding="utf-8")
    assert len(files) >= 4
    command = [sys.executable, "-m", "mypy", "--strict", *map(str, files)]
    environment = os.environ | {"MYPYPATH": str(ROOT / "src")}
    checked = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def public_members() -> Iterator[str]:
    """The methods and properties of every face, but for names of an earlier version."""
    for face in FACES:
        for name, member in vars(face).items():
            function = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
            own = isinstance(member, cached_property) or getattr(function, "__name__", None) == name
            if own and not name.startswith("_"):
                yield name


def test_the_page_of_python_names_everything() -> None:
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    prose = CODE.sub("", page)
    names = {*langue.__all__, *public_members()}
    assert {"load", "score", "states_of", "tag_all", "classify", "reader", "generate_target"} <= names
    assert not {"next", "beams", "reads_both_ways"} & names
    missing = [name for name in sorted(names) if not re.search(rf"`[^`\n]*\b{name}\b[^`\n]*`", prose)]
    assert not missing


def test_the_page_of_settings_is_up_to_date() -> None:
    written = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    command = (
        "python -c 'from langue.api.listing import settings_page; print(settings_page(), end=\"\")' "
        "> docs/settings.md"
    )
    assert written == settings_page(), f"the settings have changed; write the page anew: {command}"
