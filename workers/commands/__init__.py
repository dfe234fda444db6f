"""The commands that need workers: run, work, replay, and what the doctor and the preview ask of a model."""
