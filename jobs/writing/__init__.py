"""Writing: helps kinds to write prompts and to read what models answer."""
