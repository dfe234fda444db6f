"""Publishing fixes the outcomes of a round, delivers them, and deletes them when they are old."""
