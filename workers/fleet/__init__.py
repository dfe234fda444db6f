"""The fleet: many workers on a cluster, and what keeps them running. Only `cluster` and `actor` import Ray."""
