"""`langue recipes`: what comes ready to train."""

import langue
from langue.cli.options import Json, Quiet, print_json


def command(json: Json = False, quiet: Quiet = False) -> None:
    """List the recipes that come with langue: langue train RECIPE STORE -o MODEL."""
    entries = langue.recipes()
    if json:
        print_json([entry.to_json() for entry in entries])
        return
    for entry in entries:
        print(f"{entry.name} ({entry.family})\n    {entry.summary}")
