"""Functions compiled by numba and kept on disk, so that only the first process that needs one compiles it.

numba keeps a function for as long as the file it stands in is the same. One that calls a function of
another file would go on with that one's old machine code when only the other file changes, as with an
upgrade: wrong numbers, or a crash. So here a function is kept for as long as all compiled files of the
package are the same.

The code is kept where `caches.py` says: NUMBA_CACHE_DIR, the user's cache folder, or one among temporary
files. What cannot be read there, or is not what was written, is compiled anew; what cannot be written is
compiled by each process.

It is the one thing that langue unpickles, for numba has it in no other form; and machine code runs whatever
it says, in any form. So what counts is who wrote it: a folder or file that belongs to another user (root, who
may do anything, aside), or that others may write, is not read, and nothing is kept there.
"""

import hashlib
import os
import pickle
import sys
from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numba
from llvmlite import binding, ir
from numba import types
from numba.core.caching import FunctionCache
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase
from numba.core.compiler_machinery import LoweringPass
from numba.extending import intrinsic

from langue.base.caches import Foreign, user_cache
from langue.base.caches import check_own as check_own  # of who looks after this folder
from langue.base.errors import LangueError
from langue.base.progress import is_terminal, log
from langue.base.staging import make_file, remove, sweep

PACKAGE = Path(__file__).parents[1]
_numba: Any = numba  # which has no types
DIGEST = 32  # bytes of SHA-256 before what is kept
SUFFIX = ".code"

if _numba.config.DISABLE_JIT:
    raise LangueError(
        "NUMBA_DISABLE_JIT is set, and langue's compiled functions run only compiled; unset it for langue"
    )


def njit(function: Callable[..., Any] | None = None, /, *, linked: bool = False, **options: Any) -> Any:
    """As `numba.njit`; compiled code is kept on disk and runs without the GIL.

    Args:
        linked: what calls it has no copy of it, as of others, to be optimized with it, and again with each
            caller's caller up to the one that Python calls, but calls it where it is. That saves most of the
            time that compiling takes, and costs some nanoseconds a call.
        options: others of `numba.njit`.
    """
    if function is None:
        return lambda function: njit(function, linked=linked, **options)
    dispatcher = numba.njit(nogil=True, pipeline_class=Compiler, **options)(function)
    dispatcher._cache = Kept(function)  # numba has no official way; a test holds it to this one
    if linked:
        _linked[_name(function)] = dispatcher
    return dispatcher


_linked: dict[str, Any] = {}  # such functions, by their names


class Callee(NamedTuple):
    """A linked function that something calls.

    Attributes:
        symbol: that the caller's machine code has for it.
        name: of the function, with its module. arguments: their types.
    """

    symbol: str
    name: str
    arguments: tuple[Any, ...]

    def link(self) -> None:
        """Tell LLVM where it is; compile it, if need be."""
        import_module(self.name.rpartition(".")[0])
        dispatcher = _linked[self.name]
        dispatcher.compile(self.arguments)
        code = dispatcher.overloads[self.arguments]
        binding.add_symbol(self.symbol, code.library.get_pointer_to_function(code.fndesc.llvm_func_name))


# The name and arguments of the linked function that a library holds, and what all of a library calls.
_held: "WeakKeyDictionary[Any, tuple[str, Any]]" = WeakKeyDictionary()
_callees: "WeakKeyDictionary[Any, set[Callee]]" = WeakKeyDictionary()


class Library(JITCodeLibrary):
    """Machine code whose calls stay within it, but for those of linked functions, of which there is one each.

    numba optimizes a copy of every function called together with the caller, but leaves the copy's name to
    be shared: what is called is then whichever copy the process made or loaded first, and the last digits of
    a sum hang on the order in which functions were compiled.
    """

    def add_linking_library(self, library: Any) -> None:
        """Copy another's code, or call it where it is."""
        callees = _callees.setdefault(self, set())
        if library in _held:
            name, arguments = _held[library]
            symbol = _linked[name].overloads[arguments].fndesc.llvm_func_name
            callees.add(Callee(symbol, name, arguments))
        else:
            callees |= _callees.get(library, set())
            whole: Any = super()
            whole.add_linking_library(library)

    def _optimize_final_module(self) -> None:
        for function in self._final_module.functions:
            if not function.is_declaration and function.linkage == binding.Linkage.linkonce_odr:
                function.linkage = binding.Linkage.internal
        whole: Any = super()
        whole._optimize_final_module()


@_numba.core.compiler_machinery.register_pass(mutates_CFG=False, analysis_only=True)
class MakeLibrary(LoweringPass):
    """Make the library that code is generated into."""

    _name = "make_library"

    def __init__(self) -> None:
        """Abstract in numba."""

    def run_pass(self, state: Any) -> bool:
        library: Any = Library
        state.library = library(state.targetctx.codegen(), state.func_id.func_qualname)
        state.library.enable_object_caching()
        _note(state.library, state.func_id.func, state.args)
        return False


def _note(library: Any, function: Callable[..., Any], arguments: Sequence[Any]) -> None:
    """Note which linked function a library holds, if it is one."""
    if (name := _name(function)) in _linked:
        _held[library] = name, tuple(arguments)


def _name(function: Callable[..., Any]) -> str:
    return f"{function.__module__}.{function.__qualname__}"


class Compiler(CompilerBase):
    """numba's own, but for the library."""

    def define_pipelines(self) -> list[Any]:
        passes = _numba.core.compiler.DefaultPassBuilder.define_nopython_pipeline(self.state)
        passes.add_pass_after(MakeLibrary, _numba.core.typed_passes.AnnotateTypes)
        passes.finalize()
        return [passes]


class Kept(FunctionCache):
    """Machine code of a function: a file for each signature and processor, with its digest before it."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._py_func = function
        self._name = _name(function).replace("<locals>.", "")
        self._enabled = True

    @property
    def cache_path(self) -> str:
        """Of what numba tells of itself."""
        try:
            return str(cache_folder())
        except OSError:
            return ""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """What is kept for a signature; None where nothing is, or what is there cannot be used."""
        # numba has `target_context.refresh()` here, which also registers what types are inferred by and code
        # is generated with: a third of a command's start, for compiling only.
        _tell_runtime()
        key = self._key(sig, target_context.codegen())
        try:
            content = read_own(cache_folder() / self._file_name(key))
            if hashlib.sha256(content[DIGEST:]).digest() != content[:DIGEST]:
                return None
            kept_key, callees, data = pickle.loads(content[DIGEST:])  # of this user's hand: see above
            if kept_key != key:
                return None
            for callee in callees:
                callee.link()
            result = _numba.core.compiler.CompileResult._rebuild(target_context, *data)
            _callees[result.library] = set(callees)
            _note(result.library, self._py_func, result.signature.args)
            return result
        except Foreign as error:
            _tell(error)
            return None
        except Exception:  # not there, or of another numba: whatever it is, compiling helps
            _tell_waiting()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep what was compiled; a disk that refuses costs the next process the time, and no more."""
        if data.library.has_dynamic_globals or any(not part.can_cache for part in data.lifted):
            return
        try:
            *parts, environments = data._reduce()
        except RuntimeError:  # Ctrl-C came while LLVM handed the code over: it is lost, and Ctrl-C sent again
            return
        key = self._key(sig, data.codegen)
        # An environment holds the constants of a function called, and loading it imports the module that the
        # function stands in: for numba's own of arrays that is scipy, where it is installed. Most are empty.
        filled = tuple(each for each in environments if each.consts)
        callees = tuple(_callees.get(data.library, ()))
        content = _numba.core.serialize.dumps((key, callees, (*parts, filled)))
        try:
            self._write(cache_folder(), self._file_name(key), hashlib.sha256(content).digest() + content)
        except OSError as error:
            _tell(error)

    def flush(self) -> None:
        for path in cache_folder().glob(f"{self._name}-*{SUFFIX}"):
            path.unlink(missing_ok=True)

    def _key(self, sig: Any, codegen: Any) -> Any:
        """What code is for: types, system, processor, and the bytes that it was compiled from."""
        whole: Any = super()
        return whole._index_key(sig, codegen)

    def _write(self, folder: Path, name: str, content: bytes) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        check_own(folder, folder.stat())
        temporary, lock = make_file(folder, name)
        try:
            with open(lock, "wb", closefd=False) as file:
                file.write(content)
            temporary.replace(folder / name)
        finally:
            remove(temporary)
            os.close(lock)
        for stale in folder.glob(f"{self._name}-*{SUFFIX}"):
            if not stale.name.startswith(self._prefix()):
                remove(stale)
        sweep(folder)

    def _prefix(self) -> str:
        return f"{self._name}-{stamp()[:16]}-"

    def _file_name(self, key: Any) -> str:
        return f"{self._prefix()}{hashlib.sha256(repr(key).encode()).hexdigest()[:16]}{SUFFIX}"


def cache_folder() -> Path:
    """Where machine code of this very package folder is kept.

    Raises:
        OSError: nowhere.
    """
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    made_for = hashlib.sha256(f"{PACKAGE}\n{numba.__version__}\n{version}".encode()).hexdigest()
    name = f"compiled-{made_for[:16]}"
    return Path(_numba.config.CACHE_DIR) / name if _numba.config.CACHE_DIR else user_cache(name)


def read_own(path: Path) -> bytes:
    """The bytes of a file that, as its folder, only this user can have written.

    Raises:
        Foreign: others can have written it.
        OSError: it is not there, is a link or no file, or cannot be read.
    """
    check_own(path.parent, path.parent.stat())
    kind = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | kind)) as file:
        check_own(path, os.fstat(file.fileno()))  # of what was opened, whatever has the name by now
        return file.read()


def _tell(error: OSError) -> None:
    _tell_why(str(error) if isinstance(error, Foreign) or error.strerror is None else error.strerror)


@cache  # once, not for every function
def _tell_why(reason: str) -> None:
    log.warning(
        "compiled code cannot be kept (%s), so every call compiles anew, which takes seconds; set "
        "NUMBA_CACHE_DIR to a folder that you, and nobody else, may write",
        reason,
    )


@cache
def _tell_waiting() -> None:
    if is_terminal(sys.stderr):
        log.info("compiling, which takes some seconds, once for this machine")


@cache
def _tell_runtime() -> None:
    """Tell LLVM where the functions of numba's runtime are that loaded code calls.

    `rtsys.initialize` does so too, and compiles those that count references, which kept code has within it.
    """
    for name, address in _numba.core.runtime._nrt_python.c_helpers.items():
        binding.add_symbol(name if name.startswith("_") else f"NRT_{name}", address)


@cache
def stamp() -> str:
    """A digest of all files of the package that have compiled functions."""
    digest = hashlib.sha256()
    for folder, folders, names in os.walk(PACKAGE):  # every command waits for it
        folders.sort()
        for name in sorted(name for name in names if name.endswith(".py")):
            with Path(folder, name).open("rb", buffering=0) as file:
                text = file.read()
            if b"njit" in text or b"numba" in text:  # the second also of code that is made for LLVM
                digest.update(text)
    return digest.hexdigest()


def _prefetching(context: Any, array: Any, index: Any) -> Any:
    """Code that asks for the cache line of array[index], and does not wait."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        pointer = builder.bitcast(builder.gep(data, [arguments[1]]), ir.IntType(8).as_pointer())
        integer = ir.IntType(32)
        form = ir.FunctionType(ir.VoidType(), [pointer.type, integer, integer, integer])
        function = builder.module.declare_intrinsic("llvm.prefetch", [pointer.type], form)
        builder.call(function, [pointer, integer(0), integer(3), integer(1)])  # to read, keep, data
        return context.get_dummy_value()

    return types.void(array, types.int64), generate


def _eight(context: Any, array: Any, index: Any) -> Any:
    """Code that reads the eight bytes from array[index] on as one number, wherever they lie."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        pointer = builder.bitcast(builder.gep(data, [arguments[1]]), ir.IntType(64).as_pointer())
        return builder.load(pointer, align=1)

    return types.uint64(array, types.int64), generate


prefetch: Any = intrinsic(_prefetching)
eight: Any = intrinsic(_eight)
