"""Lanes: the schedule on Redis. Each model and revision has one lane; nothing here decides an outcome."""
