"""Kinds of content. A kind is one file with its request, its output, its prompts and its checks."""
