"""The ceiling of memory, measured in a process of its own."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import langue

MEASURE = """
import json, sys, threading
from pathlib import Path
import langue

def own():
    status = Path("/proc/self/status").read_text()
    return sum(int(status.split(f"{what}:")[1].split()[0]) for what in ("RssAnon", "RssShmem")) / 1024

data, tiny, output, ceiling = sys.argv[1:]
langue.train("ngram", tiny, output, overwrite=True, memory=int(ceiling))
before, peak, done = own(), 0.0, threading.Event()

def watch():
    global peak
    while not done.wait(0.001):
        peak = max(peak, own())

watcher = threading.Thread(target=watch, daemon=True)
watcher.start()
langue.train("ngram", data, output, overwrite=True, memory=int(ceiling))
done.set()
watcher.join()
print(json.dumps(peak - before))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is measured as Linux shows it")
@pytest.mark.parametrize("form", ["text", "store"])
def test_the_ceiling_is_kept(tmp_path: Path, form: str) -> None:
    draw = np.random.default_rng(5)
    words = draw.zipf(1.15, 500_000) % 20_000
    lines = [" ".join(f"w{word}" for word in words[place : place + 20]) for place in range(0, len(words), 20)]
    (tmp_path / "text").write_text("\n".join([*lines, ""]))
    (tmp_path / "tiny").write_text("a b c\nb c a\n" * 20)
    if form == "store":
        langue.prepare(
            tmp_path / "text", tmp_path / "store", documents="line", kind="whitespace",
            duplicates="keep", near_duplicates="ignore",
        )  # fmt: skip
    peaks, digests = {}, set()
    for ceiling in (0, 20, 20):  # what is compiled the first time takes memory, too
        arguments = [str(tmp_path / name) for name in (form, "tiny", "model")]
        command = [sys.executable, "-c", MEASURE, *arguments, str(ceiling)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        peaks[ceiling] = json.loads(done.stdout.splitlines()[-1])
        tables = sorted((tmp_path / "model").glob("*.npy"))
        digests.add(hashlib.sha256(b"".join(path.read_bytes() for path in tables)).hexdigest())
    assert peaks[20] <= 20 < peaks[0]
    assert len(digests) == 1
