"""Lanes: the schedule on Redis. Each model and revision has a lane of its own. Nothing here decides an outcome."""
