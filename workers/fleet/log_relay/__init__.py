"""The way of what workers log into the log of their command."""
