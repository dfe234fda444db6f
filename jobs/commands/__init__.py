"""The command line: one module for each command, or for a few that are read together.

A command reads its options, calls the client, and prints: results on standard output, all else on standard error. `session.py`
is what one call works with, `views/` is how results look to a person. Modules here import what is heavy inside the command that
needs it, so that `--help` is quick.
"""
