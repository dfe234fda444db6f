"""Reads pages that people read: Markdown with its front matter, and HTML."""
