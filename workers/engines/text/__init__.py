"""Text: prompts become tokens, tokens become text, and a text ends."""
