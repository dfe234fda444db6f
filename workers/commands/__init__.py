"""The commands that need workers (run, work, replay, models pull), and what the doctor and the preview ask of models."""
