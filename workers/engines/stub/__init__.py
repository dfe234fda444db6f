"""The stub engine: deterministic texts and set timing, without torch; for dry runs and tests."""
