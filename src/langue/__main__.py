"""`python -m langue` is the command `langue`."""

from langue.cli import main

main()
