"""Lanes are the schedule on Redis: each model and revision has a lane of its own. Nothing here decides an outcome."""
