"""Quotes of batches: the sample of a batch, the rows of it that may run, and the quote itself."""
