"""Text: how prompts become tokens, tokens become text, and what ends a completion."""
