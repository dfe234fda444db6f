"""Words of a text: counts them, measures them, and finds keywords among them, in any script."""
