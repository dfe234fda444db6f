"""One worker: it claims rows, has its engine write them, and reports their outcomes."""
