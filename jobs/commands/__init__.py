"""The commands of jobs, one file for each group that is read together.

A command says what it takes, opens what it needs through the Session, and prints: results on standard output, all else on
standard error. What it knows is in the modules beside this folder (status, ledger, doctor, publish, intake). The modules
here import what is heavy inside the command that needs it, so that `--help` is quick.
"""
