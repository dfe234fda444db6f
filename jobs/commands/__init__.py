"""The command line: one module for each command, or for a few that are read together.

A command reads its options, calls the client, and prints: results on standard output, all else on standard error. `session.py`
holds the client and streams that one call works with; `views/` turns results into text for a person. A heavy module is imported
inside the command that needs it, so that `--help` is quick.
"""
