"""The engine for decoder-only models of transformers. `loading` chooses its form: `engine` with slots, or `padded`."""

from workers.engines.causal.loading import DEFAULT_SLOTS, load_engine

__all__ = ["DEFAULT_SLOTS", "load_engine"]
