"""`langue score` by the stream beside KenLM's `query`: CPU time, and memory that does not grow.

    python benchmarks/scoring.py [MODEL TEXT [--query bin/query --binary model.bin]]

MODEL is an n-gram of words between blanks (`langue train ngram TEXT -o MODEL`), `--binary` the same of KenLM
(`lmplz`, `build_binary`); without them, one is made of the embedded English text. Starts are excluded: of
langue by a line that is scored before, of `query` by its time for one line. CPU seconds, for a machine may
have other work; with two threads, what the calling thread alone has to do bounds the time from below. Memory
is told of the first 4,000 lines, of all, and of the text over and over, up to --lines; and of the whole
command, how long it takes to print its first line.
"""

import argparse
import gzip
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path

from langue.corpus.sample import sample_path


def scored(model: str, text: str) -> None:
    """Score a text in this process, and print what it took."""
    import langue

    held = langue.load(model)
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as line:
        line.write("a line\n")
        line.flush()
        for _ in langue.write_scores(held, line.name, format="kenlm"):
            pass
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    process, thread = time.process_time(), time.thread_time()
    size = sum(len(piece) for piece in langue.write_scores(held, text, format="kenlm"))
    process, thread = time.process_time() - process, time.thread_time() - thread
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"{process} {thread} {grown} {size}")


def by_langue(model: str, text: str, threads: int) -> tuple[float, float, float]:
    """CPU seconds, those of the calling thread, and megabytes more than on one line."""
    environment = {**os.environ, "LANGUE_THREADS": str(threads)}
    command = [sys.executable, __file__, model, text, "--inside"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    process, thread, grown, _ = map(float, done.stdout.split())
    return process, thread, grown


def by_query(query: str, binary: str, text: str) -> float:
    """CPU seconds of KenLM's program."""

    def used(data: Path) -> float:
        with data.open("rb") as file:
            command = [query, "-v", "sentence", binary]
            done = subprocess.run(command, stdin=file, capture_output=True, check=True)
        (cpu,) = re.findall(rb"CPU:([0-9.]+)", done.stderr)
        return float(cpu)

    with tempfile.NamedTemporaryFile(suffix=".txt") as line:
        line.write(b"a line\n")
        line.flush()
        return used(Path(text)) - used(Path(line.name))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?")
    parser.add_argument("text", nargs="?")
    parser.add_argument("--query")
    parser.add_argument("--binary")
    parser.add_argument("--lines", type=int, default=4_000_000)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.inside:
        scored(given.model, given.text)
        return
    if given.text:
        compare(given.model, given.text, given.query, given.binary)
        memory(given.model, given.text, given.lines)
        return
    import langue

    with tempfile.TemporaryDirectory() as name:
        text, model = Path(name) / "text.txt", Path(name) / "model"
        with gzip.open(sample_path("english"), "rt", encoding="utf-8") as file:
            text.write_text(file.read().replace("\f", ""), encoding="utf-8")
        langue.train("ngram", text, model)
        compare(str(model), str(text), given.query, given.binary)
        memory(str(model), str(text), given.lines)


def memory(model: str, text: str, most: int) -> None:
    """Megabytes more than on one line, for texts of more and more lines; and the wait for the first score."""
    with Path(text).open("rb") as file, tempfile.TemporaryDirectory() as folder:
        lines = file.readlines()
        for count in dict.fromkeys(min(count, most) for count in (4000, len(lines), most)):
            some = Path(folder) / "some.txt"
            with some.open("wb") as other:
                other.writelines(islice(cycle(lines), count))
            _, _, grown = by_langue(model, str(some), 2)
            print(f"memory: {count:,} lines, {grown:.0f} MB more than one", flush=True)
        begun = time.perf_counter()
        command = [sys.executable, "-m", "langue", "score", model, str(some)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            waited = time.perf_counter() - begun
            usage = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
            used = (int(usage[11]) + int(usage[12])) / os.sysconf("SC_CLK_TCK")
            process.kill()
        print(f"the first line after {waited:.2f} s, {used:.2f} s of CPU")


def compare(model: str, text: str, query: str | None, binary: str | None) -> None:
    data = Path(text).read_bytes()
    tokens = len(data.split()) + data.count(b"\n")
    del data
    one, _, grown = by_langue(model, text, 1)
    two, calling, _ = by_langue(model, text, 2)
    bound = max(calling, two / 2)
    print(f"{tokens:,} tokens, ends of lines included")
    print(f"langue, one thread   {one:.2f} s CPU, {tokens / one / 1e6:.2f} M tokens/s, {grown:.0f} MB more")
    print(f"langue, two threads  {two:.2f} s CPU, of which {calling:.2f} s in the calling thread")
    if query is not None and binary is not None:
        peer = by_query(query, binary, text)
        print(f"query                {peer:.2f} s CPU, {tokens / peer / 1e6:.2f} M tokens/s")
        print(f"langue: {peer / one:.2f} times as fast on one thread; on two, {peer / bound:.2f} at best")


if __name__ == "__main__":
    main()
