"""Without torch all that counts works, and what needs it says in one sentence what to type.

tests/light_install.py asks the same of the built wheel in an environment of its own.
"""

import subprocess
import sys
from pathlib import Path

import pytest

WITHOUT = """
import sys
sys.modules["torch"] = None
from langue.cli import run
for line in sys.argv[1:]:
    if code := run(line.split()):
        print("does not end well:", line)
        sys.exit(code)
"""
TEXT = "".join(f"the king of {place} is {how}\n" for place in ("rome", "spain", "here") for how in "abcdefgh")
MADE = """
prepare {folder}/text.txt -o {folder}/words --documents line --tokenizer whitespace
train ngram {folder}/words -o {folder}/ngram --set order=2
""".strip().splitlines()
WORKS = """
train class-ngram {folder}/words -o {folder}/classes --set classes=3
train mixture {folder}/words -o {folder}/mixture --set models=["{folder}/ngram","{folder}/classes"]
train infinigram {folder}/words -o {folder}/infinigram
train loglinear {folder}/words -o {folder}/loglinear --set epochs=1
train hmm-tagger {folder}/tagged.tsv -o {folder}/tagger
tag {folder}/tagger {folder}/text.txt --format text
score {folder}/mixture {folder}/text.txt
evaluate {folder}/loglinear {folder}/words
compare {folder}/ngram {folder}/classes --on {folder}/words
generate {folder}/ngram the --max-tokens 3
next {folder}/infinigram the
find {folder}/infinigram king
copied {folder}/infinigram {folder}/text.txt
export {folder}/ngram -o {folder}/ngram.arpa
import {folder}/ngram.arpa -o {folder}/imported
info {folder}/ngram
families
families ngram
recipes
doctor
""".strip().splitlines()
REFUSED = {
    "train gpt2 {folder}/words -o {folder}/new": "the family gpt2",
    "train hmm {folder}/words -o {folder}/new": "the family hmm",
    "train mixture {folder}/words -o {folder}/new": "the family gpt2",
    "families bert": "the family bert",
    "finetune {folder}/ngram {folder}/text.txt -o {folder}/new": "langue finetune",
    "import {folder} -o {folder}/new": "a model of Hugging Face",
}


def without_torch(folder: Path, *lines: str) -> "subprocess.CompletedProcess[str]":
    """Commands in one process, up to the first that does not end well, which is named."""
    commands = [line.format(folder=folder) for line in lines]
    return subprocess.run(
        [sys.executable, "-c", WITHOUT, *commands], capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One with what is asked of."""
    folder = tmp_path_factory.mktemp("light")
    (folder / "text.txt").write_text(TEXT)
    (folder / "tagged.tsv").write_text("the\tD\nking\tN\nis\tV\ndead\tA\n\na\tD\nqueen\tN\nlives\tV\n\n" * 9)
    (folder / "config.json").write_text('{"model_type": "gpt2"}')
    done = without_torch(folder, *MADE)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.mark.slow
def test_what_counts_works_without_torch(folder: Path) -> None:
    done = without_torch(folder, *WORKS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (folder / "ngram.arpa").exists() and (folder / "mixture").is_dir()
    listed = without_torch(folder, "families").stdout
    assert "interpolated modified Kneser-Ney" in listed
    assert "gpt2            a network: pip install 'langue[neural]'" in listed
    found = without_torch(folder, "doctor").stdout
    assert "no networks: pip install 'langue[neural]' (without a GPU, install torch's CPU build" in found


@pytest.mark.parametrize("line", REFUSED)
def test_what_needs_torch_says_what_to_type(line: str, folder: Path) -> None:
    done = without_torch(folder, line)
    assert done.returncode == 2
    (message,) = done.stderr.splitlines()
    assert message.startswith(f"langue: {REFUSED[line]}")
    assert "pip install 'langue[neural]'" in message and "CPU build" in message
    assert not (folder / "new").exists()


def test_objects_of_python_work_without_torch(folder: Path) -> None:
    code = (
        "import sys; sys.modules['torch'] = None; import langue\n"
        "model = langue.load(sys.argv[1])\n"
        "assert model.score('the king').total_bits > 0 and langue.configs.NGramConfig(order=3).order == 3\n"
        "try: langue.configs.BertConfig\n"
        "except langue.MissingExtra as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, folder / "ngram"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("langue.configs.BertConfig needs the package torch")
