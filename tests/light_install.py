"""The light core: the built wheel without an extra, in an environment of its own, does all that counts.

Run by `make test`: builds the wheel, installs it with the constraints and nothing else, and asks of every
verb that needs no network that it works, of one that does that it says what to type; and how large it all is.

    python tests/light_install.py [FOLDER]
"""

import os
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
LARGEST = 350  # MB of 2**20 bytes, all that lies in the environment
ABSENT = ("torch", "scipy", "pydantic", "typer", "transformers", "pyarrow")
WORDS = ["the", "king", "is", "dead", "long", "live", "the", "queen", "and", "her", "old", "sad", "court"]
TEXT = [" ".join(WORDS[(start + step * index) % len(WORDS)] for index in range(7)) for start in range(12)
        for step in range(1, 12)]  # fmt: skip
TAGGED = "".join("the\tB-A\nking\tI-A\nis\tO\ndead\tO\n\na\tO\nqueen\tB-A\nlives\tO\n\n" for _ in range(20))
# Compiled code is new in an environment: what else runs without torch asks tests/test_light.py.
COMMANDS = """
prepare text.txt -o store --documents line --tokenizer whitespace
train ngram store -o ngram --set order=3
train markov store -o markov
train crf tagged.tsv -o crf
score ngram text.txt
generate ngram the --max-tokens 5
compare ngram markov --on store
tag crf text.txt --format text
export ngram -o ngram.arpa
families
doctor
""".strip().splitlines()
REFUSED = ("train gpt2 store -o gpt2", "train hmm store -o hmm")
API = "import langue; print(langue.load('ngram').score('the king').total_bits, langue.configs.NGramConfig())"


def main(folder: Path) -> None:
    environment, work = folder / "environment", folder / "work"
    work.mkdir()
    python = install(folder, environment)
    (work / "text.txt").write_text("".join(line + "\n" for line in TEXT))
    (work / "tagged.tsv").write_text(TAGGED)
    for line in COMMANDS:
        done = langue(python, work, line)
        if done.returncode != 0:
            sys.exit(f"light install: {line}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    for line in REFUSED:
        done = langue(python, work, line)
        print(f"{line}: {done.stderr.strip()}")
        if done.returncode != 2 or "pip install 'langue[neural]'" not in done.stderr:
            sys.exit(f"light install: {line} does not say what to install: {done.returncode}, {done.stderr}")
    subprocess.run([python, "-c", API], cwd=work, check=True, capture_output=True, env=clean())
    size = sum(file.lstat().st_size for file in environment.rglob("*") if file.is_file()) / 2**20
    found = {path.name for path in (environment / "lib").glob("python*/site-packages/*")} & set(ABSENT)
    print(f"light install: {len(COMMANDS)} commands, {size:.0f} MB of at most {LARGEST}")
    if found or size > LARGEST:
        sys.exit(f"light install: too much: {size:.0f} MB, {', '.join(found)}")


def install(folder: Path, environment: Path) -> Path:
    """An environment with the wheel alone, by this environment's pip; returns its interpreter."""
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "-w", folder, ROOT], check=True)
    (wheel,) = folder.glob("langue-*.whl")
    venv.create(environment, with_pip=False)
    python = environment / "bin" / "python"
    given = ["install", "-c", ROOT / "constraints.txt", wheel]
    subprocess.run([*pip, "--python", python, *given], check=True)
    return python


def langue(python: Path, folder: Path, line: str) -> subprocess.CompletedProcess[str]:
    command = [python, "-m", "langue", *line.split()]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=clean())


def clean() -> dict[str, str]:
    """An environment in which nothing but what was installed is found, and one processor is taken."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {
        "OMP_NUM_THREADS": "1"
    }


if __name__ == "__main__":
    chosen = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp())
    try:
        main(chosen)
    finally:
        if len(sys.argv) == 1:
            shutil.rmtree(chosen)
