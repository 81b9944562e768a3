"""A few of the steps at which `make kills` kills and interrupts every command."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("kills.py")
QUICK = [
    "prepare",
    "prepare-overwrite",
    "ngram",
    "ngram-overwrite",
    "ngram-resume",
    "export-arpa",
    "crf",
    "import-arpa-overwrite",
    "embed-overwrite",
]
SLOW = [
    "prepare-dropped",
    "hmm-resume",
    "gpt2-resume",
    "gpt2-overwrite",
    "finetune-resume",
    "export-gpt2-overwrite",
    "import-gpt2-overwrite",
]


@pytest.mark.slow
@pytest.mark.parametrize("names", [QUICK, SLOW], ids=["quick", "slow"])
def test_whenever_it_is_stopped_the_same_command_ends(names: list[str]) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    command = [sys.executable, str(SCRIPT), "--points", "5", *names]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(" steps") == len(names)
