"""A program that kills a command before each of its changes of the disk in turn, and runs it again each time."""

from typing import Final

EACH_STEP: Final = """
import os, signal, sys
from jobs.commands.cli import main

steps, dies_at = 0, None

class Stepped:
    def __init__(self, name):
        self.act = getattr(os, name)
    def __call__(self, *args, **kwargs):
        global steps
        if steps == dies_at:
            os.kill(os.getpid(), signal.SIGKILL)
        steps += 1
        return self.act(*args, **kwargs)

for name in ("mkdir", "fsync", "link", "unlink"):
    setattr(os, name, Stepped(name))

def run(words, step=None):
    global steps, dies_at
    steps, dies_at = 0, step
    status = main([word.format(n=n) for word in words])
    sys.stdout.flush()
    return status

n, words = 0, sys.argv[1:]
assert run(words) == 0
for n in range(1, steps + 1):
    child = os.fork()
    if child == 0:
        os._exit(run(words, n - 1))
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status):  # the first run also made folders that are there now
        assert status == 0 and n > 5, (n, status)
        break
    print("killed", n, file=sys.stderr, flush=True)
    assert run(words) == 0
"""
"""A program that runs `nightpress WORDS` to its end. Then it runs the command again and again, and kills it before each of its
changes of the disk in turn.

A change makes a folder, makes a file durable, gives a file its name, or removes a file. In each word, `{n}` stands for the
number of the try.
"""
