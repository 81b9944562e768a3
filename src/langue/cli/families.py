"""`langue families`: what can be trained, and every setting with its default and reason."""

from typing import Annotated

import langue
from langue.cli.options import Json, Quiet, print_json
from langue.cli.parameters import Argument


def command(
    name: Annotated[str | None, Argument(metavar="NAME", help="Show the settings of this family.")] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """List the families; with a name, every setting of that family, its default and the reason for it."""
    entries = langue.families(name)
    if json:
        print_json([entry.to_json() for entry in entries])
        return
    if name is None:
        width = max(len(entry.name) for entry in entries)
        for entry in entries:
            print(f"{entry.name:{width}}  {entry.summary}")
        print("\nlangue families NAME lists the settings of one, langue recipes what is ready to train")
        return
    (entry,) = entries
    print(f"{entry.name}: {entry.summary}\nlearns from {entry.learns_from}, by {entry.estimated_by}")
    for section, options in entry.options.items():
        print(f"\n[{section}]")
        for option in options:
            default = "must be given" if option.required else f"= {option.to_json()['default']!r}"
            print(f"  {option.name} {default}  ({option.type})")
            if option.reason:
                print(f"      {option.reason}")
