"""Documents on the way in: which files are meant, what is kept of them, and their segments as rows."""
