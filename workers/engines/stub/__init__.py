"""The stub engine: deterministic texts and a timing model, with no torch; for dry runs and tests."""
