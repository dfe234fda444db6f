"""The translation memory: segments that were translated before, by tenant, as files in the store and as a local index of them."""
