"""What a Nightpress job is, and where it waits: requests, kinds, the queue, storage, usage and the command line.

Imports no torch, no transformers and no Ray, so that a machine that only submits stays light.
"""
