"""The stub engine, for dry runs and tests: its texts are deterministic, its options set its timing, and it needs no torch."""
