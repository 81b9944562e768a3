"""Training on as many threads as there are cores, on a quiet machine and beside other busy programs.

    python benchmarks/busy.py [--steps 20] [--turns 2] [--others 2] [--limit 60]

A network of 4 layers of 192 learns for a few steps in processes that take turns: as langue starts them
(`GOMP_SPINCOUNT=3000`), as libgomp waits unless told (millions of spins), and on one thread. Then the same
beside programs that do nothing but run. Tokens a second, the best turn of each; a run that takes longer
than the limit is told as such.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import langue
from langue.corpus.sample import sample_path
from turns import cpu

WAYS = {
    "as langue starts": {},
    "as libgomp waits": {"GOMP_SPINCOUNT": "3000000"},  # what it is with no more threads than processors
    "one thread": {"OMP_NUM_THREADS": "1"},
}
RUN = """
import json, sys
import langue
model = langue.train(sys.argv[1], sys.argv[2], sys.argv[3], layers=4, width=192, heads=4, context=128,
                     batch_tokens=2048, evaluations=1, steps=int(sys.argv[4]), overwrite=True)
measured = model.info()["measured"]
print(json.dumps(measured["tokens"] / measured["seconds"]))
"""


def speed(family: str, store: Path, folder: Path, steps: int, way: str, limit: float) -> float:
    """Tokens a second of a process; 0 where it was stopped at the limit."""
    arguments = [family, str(store), str(folder / "model"), str(steps)]
    try:
        done = subprocess.run(
            [sys.executable, "-c", RUN, *arguments],
            env=os.environ | WAYS[way],
            timeout=limit,
            check=True,
            capture_output=True,
            text=True,
        )
    except subprocess.TimeoutExpired:
        return 0.0
    return float(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--steps", type=int, default=20)
    options.add_argument("--turns", type=int, default=2)
    options.add_argument("--others", type=int, default=2, help="other busy programs")
    options.add_argument("--limit", type=float, default=60.0, help="seconds of a run")
    chosen = options.parse_args()
    os.environ.pop("GOMP_SPINCOUNT", None)  # which importing langue has set here
    print(f"{cpu()}, {os.cpu_count()} processors; tokens a second\n")
    print("| | " + " | ".join(WAYS) + " |\n|---" + "|---:" * len(WAYS) + "|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        langue.prepare(sample_path("english"), folder / "store")
        for count in (0, chosen.others):
            # In sessions of their own, as other programs are: Linux shares processors by these first.
            others = [
                subprocess.Popen([sys.executable, "-c", "while True: pass"], start_new_session=True)
                for _ in range(count)
            ]
            for family in ("gpt2", "bert"):
                best = dict.fromkeys(WAYS, 0.0)
                for _ in range(chosen.turns):
                    for way in WAYS:
                        rate = speed(family, folder / "store", folder, chosen.steps, way, chosen.limit)
                        best[way] = max(best[way], rate)
                cells = [
                    f"{value:,.0f}" if value else f"over {chosen.limit:.0f} s" for value in best.values()
                ]
                print(
                    f"| {family}, {f'beside {count} others' if count else 'quiet'} | "
                    + " | ".join(cells)
                    + " |"
                )
            for other in others:
                other.kill()


if __name__ == "__main__":
    main()
