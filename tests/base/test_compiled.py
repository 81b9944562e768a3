"""Compiled functions are kept, and compiled anew when what they call has changed or a file is damaged."""

import errno
import hashlib
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from langue.base import compiled

CALLED = "from langue.base.compiled import njit\n\n\n@njit\ndef called(x):\n    return x + {}\n"
LINKED = CALLED.replace("@njit", "@njit(linked=True)")
INTRINSIC = """from llvmlite import ir
from numba.extending import intrinsic


@intrinsic
def called(context, x):
    def generate(context, builder, signature, arguments):
        return builder.add(arguments[0], ir.Constant(arguments[0].type, {}))

    return x(x), generate
"""
CALLER = (
    "from langue.base.compiled import njit\nfrom langue.called import called\n\n\n"
    "@njit\ndef caller(x):\n    return called(x)\n\n\n"
    "print(caller(1), sum(caller.stats.cache_hits.values()))\n"
)


@pytest.mark.parametrize("called", [CALLED, LINKED, INTRINSIC])
def test_machine_code_of_another_version_is_not_run(tmp_path: Path, called: str) -> None:
    package = tmp_path / "langue"
    (package / "base").mkdir(parents=True)
    for name in ("caches", "compiled", "errors", "progress", "staging", "urls", "wording"):
        shutil.copyfile(Path(compiled.__file__).with_name(f"{name}.py"), package / "base" / f"{name}.py")
    for folder in (package, package / "base"):
        (folder / "__init__.py").touch()
    (package / "caller.py").write_text(CALLER)

    def run(added: int) -> str:
        (package / "called.py").write_text(called.format(added))
        # The folder comes before the installed package.
        environment = {**os.environ, "PYTHONPATH": str(tmp_path), "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
        # Python takes a file of the same size and second for the one that it kept bytecode of.
        environment["PYTHONDONTWRITEBYTECODE"] = "1"
        command = [sys.executable, "-m", "langue.caller"]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    assert run(1) == "2 0\n"
    assert run(1) == "2 1\n"  # kept
    assert run(5) == "6 0\n"


USE = """
import numpy as np
from langue.base import compiled

@compiled.njit
def doubled(x):
    return 2 * x

print(doubled(np.arange(3)).tolist(), sum(doubled.stats.cache_hits.values()))
"""


def use(tmp_path: Path, **environment: str | None) -> subprocess.CompletedProcess[str]:
    """A process that compiles a function, or finds it compiled."""
    (tmp_path / "script.py").write_text(USE)
    whole = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    for name, value in environment.items():
        whole.pop(name, None)
        if value is not None:
            whole[name] = value
    command = [sys.executable, tmp_path / "script.py"]
    return subprocess.run(command, env=whole, capture_output=True, text=True, check=True)


@pytest.mark.parametrize("wound", ["empty", "cut", "a bit", "a folder"])
def test_kept_code_that_is_damaged_is_compiled_anew(tmp_path: Path, wound: str) -> None:
    assert use(tmp_path).stdout == "[0, 2, 4] 0\n"
    assert use(tmp_path).stdout == "[0, 2, 4] 1\n"
    (kept,) = (tmp_path / "cache").glob("*/*.code")
    content = kept.read_bytes()
    if wound == "empty":
        kept.write_bytes(b"")
    elif wound == "cut":
        kept.write_bytes(content[:100])
    elif wound == "a bit":
        kept.write_bytes(content[:-500] + bytes([content[-500] ^ 1]) + content[-499:])
    else:
        kept.unlink()
        kept.mkdir()
    again = use(tmp_path)
    assert again.stdout == "[0, 2, 4] 0\n"
    assert "Traceback" not in again.stderr
    if wound != "a folder":
        assert use(tmp_path).stdout == "[0, 2, 4] 1\n"


def test_without_a_place_for_it_code_runs_and_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = use(tmp_path, NUMBA_CACHE_DIR=str(tmp_path / "file"))
    assert done.stdout == "[0, 2, 4] 0\n"
    assert done.stderr.count("set NUMBA_CACHE_DIR") == 1


def test_it_is_told_once_for_all_functions(caplog: pytest.LogCaptureFixture) -> None:
    for name in "ab":
        compiled._tell(OSError(errno.EROFS, "Read-only file system", name))
    assert len([one for one in caplog.records if "Read-only file system" in one.message]) == 1


def test_code_is_kept_in_the_cache_of_the_user_and_not_beside_the_package(tmp_path: Path) -> None:
    use(tmp_path, NUMBA_CACHE_DIR=None, XDG_CACHE_HOME=str(tmp_path / "mine"))
    assert list((tmp_path / "mine" / "langue").glob("compiled-*/*.code"))
    use(tmp_path, NUMBA_CACHE_DIR=None, XDG_CACHE_HOME=None, HOME=str(tmp_path / "home"))
    assert list((tmp_path / "home").rglob("*.code"))
    assert not list(tmp_path.glob("*.nb?")) and not list(tmp_path.glob("__pycache__/*.nb?"))


@pytest.mark.parametrize("home", ["file/home", "read-only"])
def test_where_the_home_cannot_be_written_code_is_kept_among_temporary_files(
    tmp_path: Path, home: str
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "read-only").mkdir(mode=0o500)
    if home == "read-only" and (as_root() or os.name != "posix"):
        pytest.skip("rights do not bind this user")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    environment = {
        "NUMBA_CACHE_DIR": None,
        "XDG_CACHE_HOME": None,
        "HOME": str(tmp_path / home),
        "TMPDIR": str(temporary),
    }
    for hits in (0, 1):
        done = use(tmp_path, **environment)
        assert done.stdout == f"[0, 2, 4] {hits}\n"
        assert "cannot be kept" not in done.stderr
    (folder,) = temporary.glob("langue*")
    assert folder.stat().st_mode & 0o77 == 0 or os.name != "posix"
    if os.name == "posix":
        folder.chmod(0o777)
        done = use(tmp_path, **environment)
        assert done.stdout == "[0, 2, 4] 0\n"
        assert done.stderr.count("may be written by others") == 1


def test_code_that_came_with_a_home_that_is_read_only_is_used(tmp_path: Path) -> None:
    kept = {"NUMBA_CACHE_DIR": None, "XDG_CACHE_HOME": str(tmp_path / "mine"), "TMPDIR": str(tmp_path)}
    assert use(tmp_path, **kept).stdout == "[0, 2, 4] 0\n"
    (folder,) = (tmp_path / "mine" / "langue").iterdir()
    for path in (folder.parent, folder):
        path.chmod(0o500)
    assert use(tmp_path, **kept).stdout == "[0, 2, 4] 1\n"
    assert not list(tmp_path.glob("langue-*"))
    for path in (folder, folder.parent):
        path.chmod(0o700)


def test_a_switch_for_debuggers_is_refused_in_a_sentence(tmp_path: Path) -> None:
    script = (
        "from langue.base.errors import LangueError\ntry:\n import langue.base.compiled\n"
        "except LangueError as error:\n print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "NUMBA_DISABLE_JIT is set" in done.stdout


FOREIGN = 54321  # a user who is not here


def as_root() -> bool:
    return os.name == "posix" and os.geteuid() == 0


@pytest.mark.skipif(os.name != "posix", reason="rights are no bits there")
@pytest.mark.parametrize("what", ["folder", "file"])
@pytest.mark.parametrize("why", ["group may write", "all may write", "another's", "another's link"])
def test_kept_code_that_another_user_can_have_written_is_never_read(
    tmp_path: Path, what: str, why: str
) -> None:
    """Unpickling runs what it says, so a trap is laid: whoever reads it leaves a file."""
    assert use(tmp_path).stdout == "[0, 2, 4] 0\n"
    (kept,) = (tmp_path / "cache").glob("*/*.code")
    lay_a_trap(kept, tmp_path / "sprung")
    target = kept.parent if what == "folder" else kept
    if why.startswith("another"):
        if not as_root():
            pytest.skip("needs the right to give files away")
        if why.endswith("link"):
            aside = target.rename(tmp_path / "aside")
            target.symlink_to(aside)
            target = aside
        os.chown(target, FOREIGN, FOREIGN)
    else:
        target.chmod(target.stat().st_mode | (0o020 if why.startswith("group") else 0o002))
    again = use(tmp_path)
    assert again.stdout == "[0, 2, 4] 0\n"
    assert not (tmp_path / "sprung").exists()
    if what == "folder":
        assert again.stderr.count("compiled code cannot be kept") == 1
        assert ("belongs to another user" in again.stderr) == why.startswith("another")
        assert kept.read_bytes()[32:] == trap(tmp_path / "sprung")  # and nothing was written there
    else:
        assert use(tmp_path).stdout == "[0, 2, 4] 1\n"  # it was replaced


def test_the_trap_works(tmp_path: Path) -> None:
    use(tmp_path)
    (kept,) = (tmp_path / "cache").glob("*/*.code")
    lay_a_trap(kept, tmp_path / "sprung")
    assert use(tmp_path).stdout == "[0, 2, 4] 0\n"
    assert (tmp_path / "sprung").exists()


class Trap:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.path,)


def trap(path: Path) -> bytes:
    return pickle.dumps(Trap(path))


def lay_a_trap(kept: Path, path: Path) -> None:
    content = trap(path)
    kept.write_bytes(hashlib.sha256(content).digest() + content)


def test_code_that_is_lost_to_an_interrupt_is_not_kept_and_no_bug(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LLVM calls back with the code; what Ctrl-C raises there Python drops, and numba has no code then."""

    class Lost:
        library = SimpleNamespace(has_dynamic_globals=False)
        lifted = ()

        def _reduce(self) -> None:
            raise RuntimeError("no compiled object yet")

    monkeypatch.setattr(compiled, "cache_folder", lambda: tmp_path)
    compiled.Kept(test_code_that_is_lost_to_an_interrupt_is_not_kept_and_no_bug).save_overload((), Lost())
    assert not list(tmp_path.iterdir())


def test_calls_stay_within_what_was_compiled_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shared name is called in the copy that a process has first: other last digits in another order."""
    monkeypatch.setattr(compiled._numba.config, "CACHE_DIR", str(tmp_path))

    @compiled.njit
    def inner(x):
        return inner(x - 1) + 1 if x > 0 else 0.5

    @compiled.njit
    def outer(x):
        return inner(x) + inner(x + 1)

    assert outer(3.0) == 8.0
    (kept,) = outer.overloads.values()
    copies = [one for one in kept.library.get_defined_functions() if "inner" in one.name]
    assert copies and {one.linkage.name for one in copies} == {"internal"}


def test_a_linked_function_is_called_where_it_is(tmp_path: Path) -> None:
    """Also by kept code that was compiled where it was another's first, second or third."""
    folder, cache = tmp_path / "linked", tmp_path / "cache"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "called.py").write_text(LINKED.format(1))
    (folder / "through.py").write_text(
        "from langue.base.compiled import njit\nfrom linked.called import called\n\n\n"
        "@njit\ndef through(x):\n    return called(x) * 2\n"
    )
    use = (
        "import numpy as np\nfrom langue.base.compiled import njit\nfrom linked.through import through\n"
        "{}"
        "@njit\ndef caller(x):\n    return through(x)\n\n"
        "print(caller(1), caller(0.5), sum(caller.stats.cache_hits.values()))\n"
        "copies = [one.name for kept in caller.overloads.values()\n"
        "          for one in kept.library._get_module_for_linking().functions\n"
        "          if 'called' in one.name and not one.is_declaration and 'through' not in one.name]\n"
        "assert not copies, copies\n"
    )
    script = tmp_path / "script.py"

    def run(before: str) -> str:
        script.write_text(use.format(before))
        environment = {**os.environ, "PYTHONPATH": f"{tmp_path}", "NUMBA_CACHE_DIR": str(cache)}
        paths = [str(tmp_path), str(Path(compiled.__file__).parents[2])]
        environment["PYTHONPATH"] = os.pathsep.join(paths)
        command = [sys.executable, script]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    assert run("") == "4 3.0 0\n"
    assert run("") == "4 3.0 2\n"
    for kept in cache.rglob("*called*"):
        kept.unlink()  # what kept code calls is compiled for it
    assert run("from linked.called import called\ncalled(np.ones(3))\n") == "4 3.0 2\n"
