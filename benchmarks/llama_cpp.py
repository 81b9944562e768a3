"""llama.cpp by its library, a GGUF file at a time: ids in, logits or the likeliest tokens out.

    npm i --ignore-scripts --omit=optional node-llama-cpp @node-llama-cpp/linux-x64
    export LLAMA_CPP_LIB=$PWD/node_modules/@node-llama-cpp/linux-x64/bins/linux-x64

brings a library that is built already; `LLAMA_CPP_LIB` is the folder that holds it. Of its structures only
the first numbers are touched, which have stayed what they are; the rest is passed on as it came.
"""

import ctypes
import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

VARIABLE = "LLAMA_CPP_LIB"
Q8_0 = 7  # of a file's types
PARAMETERS = 512  # bytes of a structure of parameters, at most
INT32 = ctypes.c_int32
POINTER = ctypes.c_void_p


class Parameters(ctypes.Structure):
    _fields_ = [("numbers", INT32 * (PARAMETERS // 4))]


class Batch(ctypes.Structure):
    _fields_ = [
        ("n_tokens", INT32),
        ("token", ctypes.POINTER(INT32)),
        ("embd", POINTER),
        ("pos", ctypes.POINTER(INT32)),
        ("n_seq_id", ctypes.POINTER(INT32)),
        ("seq_id", ctypes.POINTER(ctypes.POINTER(INT32))),
        ("logits", ctypes.POINTER(ctypes.c_int8)),
    ]


def folder() -> Path | None:
    """Where the library lies; None: nowhere that was told."""
    told = os.environ.get(VARIABLE)
    return Path(told) if told and list(Path(told).glob("libllama*.so*")) else None


class Library:
    """The functions of libllama that are called here."""

    def __init__(self, path: Path, isa: str) -> None:
        ggml = ctypes.CDLL(str(next(path.glob("libggml.*so*"))), mode=ctypes.RTLD_GLOBAL)
        self.llama = ctypes.CDLL(str(next(iter(sorted(path.glob("libllama.*so*"))))))
        self._quiet = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, POINTER)(lambda *_: None)
        self.llama.llama_log_set(self._quiet, None)
        kernels = path / f"libggml-cpu-{isa}.so"
        if kernels.exists():
            ggml.ggml_backend_load.restype = POINTER
            ggml.ggml_backend_load(str(kernels).encode())
        else:
            ggml.ggml_backend_load_all_from_path(str(path).encode())
        self.llama.llama_backend_init()
        for name, result, arguments in (
            ("llama_model_default_params", Parameters, []),
            ("llama_context_default_params", Parameters, []),
            ("llama_model_load_from_file", POINTER, [ctypes.c_char_p, Parameters]),
            ("llama_init_from_model", POINTER, [POINTER, Parameters]),
            ("llama_model_get_vocab", POINTER, [POINTER]),
            ("llama_vocab_n_tokens", INT32, [POINTER]),
            ("llama_get_memory", POINTER, [POINTER]),
            ("llama_memory_clear", None, [POINTER, ctypes.c_bool]),
            ("llama_set_n_threads", None, [POINTER, INT32, INT32]),
            ("llama_batch_init", Batch, [INT32, INT32, INT32]),
            ("llama_batch_free", None, [Batch]),
            ("llama_decode", INT32, [POINTER, Batch]),
            ("llama_get_logits_ith", ctypes.POINTER(ctypes.c_float), [POINTER, INT32]),
            ("llama_model_quantize_default_params", Parameters, []),
            ("llama_model_quantize", ctypes.c_uint32, [ctypes.c_char_p, ctypes.c_char_p, POINTER]),
            ("llama_free", None, [POINTER]),
            ("llama_model_free", None, [POINTER]),
            (
                "llama_tokenize",
                INT32,
                [POINTER, ctypes.c_char_p, INT32, ctypes.POINTER(INT32), INT32, ctypes.c_bool, ctypes.c_bool],
            ),
        ):
            function = getattr(self.llama, name)
            function.restype, function.argtypes = result, arguments


@cache
def library(isa: str = "") -> Library:
    """Loaded once in a process.

    Args:
        isa: of the kernels, as their files are named (haswell: AVX2); left out, what the machine has.
    """
    where = folder()
    assert where is not None, f"{VARIABLE} names no folder with a libllama"
    return Library(where, isa)


def quantize(path: Path, output: Path, isa: str = "") -> Path:
    """Write a GGUF file in Q8_0."""
    parameters = library(isa).llama.llama_model_quantize_default_params()
    parameters.numbers[0], parameters.numbers[1] = 1, Q8_0  # threads, type of the file
    failed = library(isa).llama.llama_model_quantize(
        str(path).encode(), str(output).encode(), ctypes.byref(parameters)
    )
    assert not failed, f"llama.cpp does not quantize {path}"
    return output


class Model:
    """A GGUF file, and a context of so many tokens for each of so many sequences."""

    def __init__(self, path: Path, *, context: int, rows: int = 1, threads: int = 1, isa: str = "") -> None:
        self.llama: Any = library(isa).llama
        self.model = self.llama.llama_model_load_from_file(
            str(path).encode(), self.llama.llama_model_default_params()
        )
        assert self.model, f"llama.cpp does not load {path}"
        self.vocabulary = self.llama.llama_model_get_vocab(self.model)
        self.size = self.llama.llama_vocab_n_tokens(self.vocabulary)
        parameters = self.llama.llama_context_default_params()
        parameters.numbers[0] = context * rows
        self.most = max(context, rows)  # tokens of a batch
        parameters.numbers[1] = parameters.numbers[2] = self.most
        parameters.numbers[3] = rows
        self.context = self.llama.llama_init_from_model(self.model, parameters)
        assert self.context
        self.llama.llama_set_n_threads(self.context, threads, threads)
        self.batch = self.llama.llama_batch_init(self.most, 0, 1)

    def close(self) -> None:
        self.llama.llama_batch_free(self.batch)
        self.llama.llama_free(self.context)
        self.llama.llama_model_free(self.model)

    def encode(self, text: str) -> list[int]:
        """Ids of a text, those at its beginning included that the file asks for."""
        raw = text.encode()
        room = (INT32 * (len(raw) + 2))()
        count = self.llama.llama_tokenize(self.vocabulary, raw, len(raw), room, len(room), True, False)
        return list(room[:count])

    def clear(self) -> None:
        self.llama.llama_memory_clear(self.llama.llama_get_memory(self.context), True)

    def read(self, entries: Sequence[tuple[int, int, int, bool]]) -> None:
        """Read tokens: id, position, sequence, and whether its logits are wanted."""
        for index, (id, position, row, wanted) in enumerate(entries):
            self.batch.token[index], self.batch.pos[index] = id, position
            self.batch.n_seq_id[index], self.batch.seq_id[index][0] = 1, row
            self.batch.logits[index] = wanted
        self.batch.n_tokens = len(entries)
        assert self.llama.llama_decode(self.context, self.batch) == 0

    def logits(self, index: int) -> np.ndarray:
        """After the token at this place of the last batch: `(V,)`, until the next is read."""
        return np.ctypeslib.as_array(self.llama.llama_get_logits_ith(self.context, index), (self.size,))

    def log_probs(self, ids: Sequence[int]) -> np.ndarray:
        """Of every next token after each of these, natural logs: `(ids, V)`."""
        self.clear()
        self.read([(id, position, 0, True) for position, id in enumerate(ids)])
        rows = np.stack([self.logits(index).copy() for index in range(len(ids))]).astype(np.float64)
        rows -= rows.max(1, keepdims=True)
        return rows - np.log(np.exp(rows).sum(1, keepdims=True))

    def continue_all(self, prompts: Sequence[Sequence[int]], new: int) -> list[list[int]]:
        """The likeliest tokens after each prompt, side by side."""
        self.clear()
        texts: list[list[int]] = [[] for _ in prompts]
        waiting = [
            (int(id), at, row, at == len(prompt) - 1)
            for row, prompt in enumerate(prompts)
            for at, id in enumerate(prompt)
        ]
        for begin in range(0, len(waiting), self.most):
            some = waiting[begin : begin + self.most]
            self.read(some)
            for index, (_, _, row, wanted) in enumerate(some):
                if wanted:
                    texts[row].append(int(self.logits(index).argmax()))
        for step in range(new - 1):
            self.read([(text[-1], len(prompts[row]) + step, row, True) for row, text in enumerate(texts)])
            for row, text in enumerate(texts):
                text.append(int(self.logits(row).argmax()))
        return texts
