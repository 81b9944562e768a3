"""A run of training as a process of its own, to be stopped, killed, or one of several.

python worker.py STORE OUTPUT FAMILY [--resume] SETTING…
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

if __name__ == "__main__":
    logging.basicConfig(format="%(message)s")
    log.setLevel(logging.INFO)
    torch.set_num_threads(1)
    store, output, family, *settings = sys.argv[1:]
    resume = "--resume" in settings
    settings = [setting for setting in settings if setting != "--resume"]
    recipe = recurrent(*settings) if family == "recurrent" else read_recipe(family, settings)
    try:
        train(recipe, TokenStore(store), Path(output), resume=resume)
    except LangueError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
