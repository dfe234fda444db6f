"""Writing: what kinds write with, from templates and request fields to asking a model again."""
