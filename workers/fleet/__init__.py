"""The fleet: many workers, and what keeps them running. Only cluster and actor import Ray."""
