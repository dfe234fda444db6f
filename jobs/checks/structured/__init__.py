"""The checks of answers in JSON: whether they are JSON, and whether they satisfy the schema of their row."""
