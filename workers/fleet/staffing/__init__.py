"""Staffing: how many workers of each model a fleet should have."""
