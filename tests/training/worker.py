"""Runs of training in a process of its own, to be stopped, killed, or one of several.

python worker.py STORE OUTPUT FAMILY [--resume] SETTING… [-- OUTPUT FAMILY …]
"""

import logging
import sys
from pathlib import Path

import torch
from recurrent import recurrent  # beside this file

from langue.base.errors import LangueError
from langue.base.progress import log
from langue.tokens.store import TokenStore
from langue.training.recipe import read_recipe
from langue.training.train import train


def run(store: str, output: str, family: str, *settings: str) -> None:
    given = [setting for setting in settings if setting != "--resume"]
    recipe = recurrent(*given) if family == "recurrent" else read_recipe(family, given)
    train(recipe, TokenStore(store), Path(output), resume="--resume" in settings)


if __name__ == "__main__":
    logging.basicConfig(format="%(message)s")
    log.setLevel(logging.INFO)
    torch.set_num_threads(1)
    store, *rest = sys.argv[1:]
    try:
        while rest:
            end = rest.index("--") if "--" in rest else len(rest)
            run(store, *rest[:end])
            rest = rest[end + 1 :]
    except LangueError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
