"""The engines turn prompts into completions. `registry` makes the one that a model card names; `protocol` is their interface."""
