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
    lay_out_what_pages_speak_of(readme=page.startswith("README"))
    exec(compile(code_of(ROOT / page), page, "exec"), {})


def lay_out_what_pages_speak_of(*, readme: bool) -> None:
    """A text and a folder of novels; for a README what its commands above the code have made."""
    with gzip.open(sample_path("english"), "rt", encoding="utf-8") as file:
        text = file.read(100_000)
    Path("text").write_text(text, encoding="utf-8")
    for folder in ("novels", "小说"):
        Path(folder).mkdir()
        for number, chapter in enumerate(text[start : start + 1_000] for start in range(0, len(text), 1_000)):
            Path(folder, f"{number}.txt").write_text(chapter, encoding="utf-8")
    if readme:
        langue.prepare("novels", "store", vocabulary=600)
        langue.train("ngram", "store", "kn5", order=1)


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


TYPED = [*PAGES, *sorted((ROOT / "recipes").glob("*.toml"))]
COMMAND = re.compile(r"\blangue (?!\d)([a-z]+)((?: +[^`#|\n]+)?)")


def commands_of(page: Path) -> Iterator[tuple[str, list[str]]]:
    """Each verb that a page or recipe calls, in a block of commands or in backticks, with its options."""
    for line in page.read_text(encoding="utf-8").splitlines():
        block = line.startswith(("    langue ", "#   langue "))
        for part in [line] if block else re.findall(r"`(langue [^`]*)`", line):
            for verb, rest in COMMAND.findall(part):
                yield verb, re.findall(r"(?<!\S)--?[a-z][a-z-]*", rest)


@pytest.mark.parametrize(
    "page", [*PAGES, *sorted((ROOT / "recipes").glob("*.toml"))], ids=lambda page: page.name
)
def test_commands_of_pages_have_the_options_that_they_are_given(page: Path) -> None:
    from langue.cli import VERBS, command_of
    from langue.cli.parameters import Option, parameters_of

    for verb, options in commands_of(page):
        assert verb in VERBS, f"langue {verb}"
        parameters = parameters_of(command_of(verb))
        known = {name for one in parameters if isinstance(one.declared, Option) for name in one.names}
        assert set(options) <= known | {"--help"}, f"langue {verb} {options}"


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_a_readme_names_every_verb(name: str) -> None:
    from langue.cli import VERBS

    page = (ROOT / name).read_text(encoding="utf-8")
    assert [verb for verb in VERBS if f"langue {verb}" not in page and verb != "demo"] == []


def test_both_readmes_lead_to_the_same_pages() -> None:
    links = [
        set(re.findall(r"\]\((?!README)([^)#]+)", (ROOT / name).read_text(encoding="utf-8")))
        for name in ("README.md", "README.zh-CN.md")
    ]
    assert links[0] == links[1]


def test_chinese_paragraphs_stand_in_one_line() -> None:
    """A line end within one is shown as a blank."""
    text = re.sub(r"```.*?```", "", (ROOT / "README.zh-CN.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    assert re.findall(r"[\u4e00-\u9fff，。；、：]\n[\u4e00-\u9fff`]", text) == []
