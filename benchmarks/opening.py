"""How long a large store takes to open: what was verified once and not touched since is not read again.

    python benchmarks/opening.py [--gigabytes 10]

A store of so many bytes of drawn ids is written among the temporary files (TMPDIR), and a small one beside
it; each is opened three times, in a process of its own: seconds on the clock and of the processor, imports
not counted. The first time reads all of it.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import langue
from langue.corpus.sample import sample_path
from langue.tokens.store import COUNTS, TOKENIZER, StoreWriter, read_manifest

TOKENS = 1 << 24  # that are drawn once, and written again and again
DOCUMENT = 1 << 10
SETTLED = 3.0  # seconds after which a file counts as one that nobody writes any more


def write_store(folder: Path, like: Path, size: int) -> None:
    """A store of about so many bytes, of the vocabulary of another one."""
    manifest = read_manifest(like / "manifest.json")
    eos, vocabulary = manifest["eos"], manifest["vocabulary_size"]
    ids = np.random.default_rng(0).integers(0, vocabulary, TOKENS).astype(np.uint16)
    ids[ids == eos] = eos + 1
    ids[DOCUMENT - 1 :: DOCUMENT] = eos
    lengths = np.full(TOKENS // DOCUMENT, DOCUMENT, COUNTS)
    folder.mkdir()
    with StoreWriter(folder, vocabulary_size=vocabulary, eos=eos) as writer:
        for _ in range(max(round(size / ids.nbytes), 1)):
            writer.append("train", ids, lengths=lengths, bytes=lengths * 3, words=lengths // 2)
        for split in ("valid", "test"):
            count = len(lengths) // 100
            few = lengths[:count]
            writer.append(split, ids[: count * DOCUMENT], lengths=few, bytes=few * 3, words=few // 2)
        (folder / TOKENIZER).write_bytes((like / TOKENIZER).read_bytes())
        writer.finish(
            **{key: manifest[key] for key in ("tokenizer", "normalization", "data", "report")},
        )


def open_store(path: str) -> None:
    """Open it in this process, and print what that took."""
    from langue.tokens.store import TokenStore

    wall, cpu = time.perf_counter(), time.process_time()
    store = TokenStore(path)
    len(store.split("train"))
    print(json.dumps([time.perf_counter() - wall, time.process_time() - cpu]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=10)
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.inside:
        open_store(chosen.inside)
        return
    with tempfile.TemporaryDirectory() as name:
        small, large = Path(name) / "small", Path(name) / "large"
        langue.prepare(sample_path("english"), small)
        write_store(large, small, round(chosen.gigabytes * 1e9))
        time.sleep(SETTLED)
        print("| store | opened | seconds | of the processor |\n|---|---|---|---|")
        for path in (small, large):
            size = sum(file.stat().st_size for file in path.iterdir())
            for times in ("first", "again", "again"):
                command = [sys.executable, __file__, "--inside", str(path)]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                wall, cpu = json.loads(done.stdout)
                print(f"| {size / 1e9:.2f} GB | {times} | {wall:.2f} | {cpu:.2f} |", flush=True)


if __name__ == "__main__":
    main()
