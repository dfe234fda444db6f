"""Engines turn prompts into completions. `registry` makes the engine that a model card names. `protocol` is their interface."""
