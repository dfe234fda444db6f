"""The documents of a batch: what is kept of them in the store, the names of the translated files, and how these are written."""
