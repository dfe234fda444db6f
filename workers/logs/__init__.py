"""Logs of many processes as one stream: the files of a worker, and lines of other libraries made into events."""
