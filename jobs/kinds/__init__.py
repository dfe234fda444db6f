"""Kinds of content, one file each: its request, its output, its prompts and its checks."""
