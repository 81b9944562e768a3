"""What a server of models bears: completions a second, streams beside the engine's own speed, memory.

    python benchmarks/serving.py [--seconds 5] [--requests 10000] [--models FOLDER] [--output FILE.md]

The models are trained for a moment on the embedded sample, or those of a folder, `ngram` and `gpt2`; the
server is a process of its own on loopback, and the clients share the processors with it. wrk (Debian's
package), which has to be there, asks for completions of 16 tokens over 16 connections; then for streams, 1,
4, 16 and 64 at a time: tokens a second, by the server's own counter, beside what `generate_all` writes in a
process of its own; then for completions of the n-gram while it has the GPT write. A client of asyncio asks
for two streams each to tell the time to the first token. Then so many completions: what the server's memory
does. CPU time of the server is told beside each figure, for on a machine with other work the wall is
another's too.
"""

import argparse
import asyncio
import gzip
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported

import langue
from langue.corpus.sample import sample_path

CONNECTIONS, TOKENS = 16, 16
CLIENTS = (1, 4, 16, 64)
STREAMED = 128  # tokens
PROMPT = "To be, or not to be"
SCRIPT = """
wrk.method = "POST"
local count = 0
request = function()
  count = count + 1
  return wrk.format(nil, "/v1/completions", nil,
    '{"model":"%s","prompt":"To be, or","max_tokens":%d,"stream":%s,"seed":' .. count .. '}')
end
done = function(summary, latency, requests)
  local errors = summary.errors
  io.write("told ", summary.requests, " ", summary.duration / 1e6, " ", latency:percentile(50) / 1e3, " ",
    latency:percentile(95) / 1e3, " ", errors.connect + errors.read + errors.write + errors.status, "\\n")
end
"""


def train(folder: Path) -> dict[str, Path]:
    text = folder / "text.txt"
    with gzip.open(sample_path("english"), "rt", encoding="utf-8") as file:
        text.write_text(file.read(), encoding="utf-8")
    langue.prepare(text, folder / "store", vocabulary=4096, documents="blank-line")
    langue.train("ngram", folder / "store", folder / "ngram", order=5)
    shape = {"layers": 4, "width": 256, "heads": 4, "context": 512}
    langue.train("gpt2", folder / "store", folder / "gpt2", steps=10, batch_tokens=1024, **shape)
    return {name: folder / name for name in ("ngram", "gpt2")}


class Server:
    """A server in a process of its own."""

    def __init__(self, models: dict[str, Path]) -> None:
        names = [part for name, path in models.items() for part in ("--name", f"{name}={path}")]
        command = [sys.executable, "-m", "langue", "serve", *names, "--port", "0", "--queue", "1000"]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        address = re.search(r":(\d+)/", self.process.stderr.readline())
        assert address is not None
        self.port = int(address[1])

    def cpu(self) -> float:
        """Seconds of processors so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def written(self, model: str) -> float:
        """Tokens of a model so far."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics") as answer:
            counter = re.search(
                rf'langue_generated_tokens_total{{model="{model}"}} (\S+)', answer.read().decode()
            )
        assert counter is not None
        return float(counter[1])

    def memory(self) -> float:
        """MB that it holds."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        held = re.search(r"VmRSS:\s+(\d+)", status)
        assert held is not None
        return int(held[1]) / 1024


@contextmanager
def serving(models: dict[str, Path], *, warm: bool = True) -> Iterator[Server]:
    server = Server(models)
    try:
        for name in models if warm else ():  # loaded and compiled
            asyncio.run(complete(server.port, name, 4, stream=False))
        yield server
    finally:
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(60)


class Answer(NamedTuple):
    """What came of one request."""

    ok: bool
    first: float  # seconds to the first token, or to the whole answer
    seconds: float
    tokens: int


async def complete(port: int, model: str, tokens: int, *, stream: bool, seed: int = 0) -> Answer:
    body: dict[str, Any] = {"model": model, "prompt": PROMPT, "max_tokens": tokens, "seed": seed}
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    content = json.dumps(body).encode()
    head = "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    head += f"Content-Length: {len(content)}"
    began = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head.encode() + b"\r\n\r\n" + content)
    received, first = b"", 0.0
    while part := await reader.read(65536):
        received += part
        if not first and b"data:" in received:
            first = time.perf_counter() - began
    seconds = time.perf_counter() - began
    writer.close()
    written = re.findall(rb'"completion_tokens":(\d+)', received)
    ok = b" 200 " in received.partition(b"\r\n")[0] and (not stream or b"[DONE]" in received)
    return Answer(ok, first or seconds, seconds, int(written[-1]) if written else 0)


async def many(port: int, model: str, tokens: int, *, clients: int, each: int, stream: bool) -> list[Answer]:
    async def one(client: int) -> list[Answer]:
        return [
            await complete(port, model, tokens, stream=stream, seed=client * each + turn)
            for turn in range(each)
        ]

    return [answer for some in await asyncio.gather(*map(one, range(clients))) for answer in some]


def centile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


class Load(NamedTuple):
    """What wrk tells, and the server of it."""

    requests: int
    seconds: float
    p50: float  # milliseconds
    p95: float
    errors: int
    tokens: float
    cpu: float  # seconds of the server


def by_wrk(
    server: Server, model: str, seconds: float, *, connections: int, tokens: int, stream: bool = False
) -> Load:
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(SCRIPT % (model, tokens, json.dumps(stream)))
        script.flush()
        written, used = server.written(model), server.cpu()
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "--timeout", "60s", "-s", script.name]
        told = subprocess.run(
            [*command, f"http://127.0.0.1:{server.port}"], capture_output=True, text=True, check=True
        ).stdout
        written, used = server.written(model) - written, server.cpu() - used
    figures = re.search(r"told (\d+) (\S+) (\S+) (\S+) (\d+)", told)
    assert figures is not None
    requests, passed, p50, p95, errors = figures.groups()
    return Load(int(requests), float(passed), float(p50), float(p95), int(errors), written, used)


def own_speed(path: Path) -> tuple[float, float]:
    """Tokens a second that the engine writes in a process of its own: of one text, of many 16 at a time."""
    code = f"""
import time, langue
model = langue.CausalModel.load({str(path)!r})
def speed(count):
    began = time.perf_counter()
    texts = model.generate_all([{PROMPT!r}] * count, max_tokens={STREAMED}, temperature=1.0, top_p=1.0)
    written = sum(one.tokens for some in texts for one in some)
    return written / (time.perf_counter() - began)
speed(1)
print(max(speed(1) for _ in range(5)), max(speed(64) for _ in range(2)))
"""
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    return float(told[0]), float(told[1])


def streams(server: Server, models: dict[str, Path], seconds: float) -> Iterator[str]:
    for name, path in models.items():
        alone, together = own_speed(path)
        for clients in CLIENTS:
            load = by_wrk(server, name, seconds, connections=clients, tokens=STREAMED, stream=True)
            answers = asyncio.run(many(server.port, name, STREAMED, clients=clients, each=2, stream=True))
            firsts = [1000 * answer.first for answer in answers]
            p50, p95 = statistics.median(firsts), centile(firsts, 0.95)
            own = alone if clients == 1 else together
            speed = load.tokens / load.seconds
            yield (
                f"| {name} | {clients} | {speed:,.0f} | {own:,.0f} | {speed / own:.2f} | "
                f"{1e6 * load.cpu / load.tokens:.0f} | {p50:.1f} | {p95:.1f} | "
                f"{load.errors + sum(not answer.ok for answer in answers)} |"
            )


def beside(server: Server, seconds: float) -> Load:
    """Completions of the n-gram, one after another, while a GPT writes."""
    with ThreadPoolExecutor() as pool:
        writing = pool.submit(
            by_wrk, server, "gpt2", seconds + 1, connections=1, tokens=STREAMED, stream=True
        )
        load = by_wrk(server, "ngram", seconds, connections=1, tokens=TOKENS)
        assert writing.result().tokens
    return load


def memory(server: Server, requests: int) -> Iterator[str]:
    done = 0
    for share in (0.1, 0.55, 1.0):
        each = int(requests * share - done) // CONNECTIONS
        answers = asyncio.run(
            many(server.port, "ngram", TOKENS, clients=CONNECTIONS, each=each, stream=False)
        )
        done += each * CONNECTIONS
        yield f"| {done:,} | {server.memory():,.0f} | {sum(not answer.ok for answer in answers)} |"


def lines(seconds: float, requests: int, ready: Path | None) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        models = {name: ready / name for name in ("ngram", "gpt2")} if ready else train(Path(folder))
        with serving(models) as server:
            yield f"Completions of {TOKENS} tokens over {CONNECTIONS} connections:\n"
            yield "| model | a second | CPU ms each, of the server | errors |\n|---|---|---|---|"
            load = by_wrk(server, "ngram", seconds, connections=CONNECTIONS, tokens=TOKENS)
            rate, each = load.requests / load.seconds, 1000 * load.cpu / load.requests
            yield f"| ngram | {rate:,.0f} | {each:.2f} | {load.errors} |"
            yield f"\nStreams of {STREAMED} tokens:\n"
            yield (
                "| model | clients | tokens/s | the engine's own | ratio | CPU µs a token "
                "| first token ms, p50 | p95 | errors |\n|---|---|---|---|---|---|---|---|---|"
            )
            yield from streams(server, models, seconds)
            load = beside(server, seconds)
            yield f"\nThe n-gram's answers of {TOKENS} tokens while the GPT writes, milliseconds: "
            yield f"p50 {load.p50:.1f}, p95 {load.p95:.1f}; {load.errors} errors.\n"
            yield "| completions | memory MB | errors |\n|---|---|---|"
            yield from memory(server, requests)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--models", type=Path)
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    if not shutil.which("wrk"):
        sys.exit("wrk, the client, is not installed: `apt install wrk`")
    written = []
    for line in lines(given.seconds, given.requests, given.models):
        print(line, flush=True)
        written.append(line)
    if given.output:
        given.output.write_text("\n".join(written) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
