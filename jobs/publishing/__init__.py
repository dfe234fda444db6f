"""Publishing: the outcomes of a round are fixed, written, delivered, and deleted when they are old."""
