"""The audit of a batch finds faults that no single row shows, such as texts that are alike: see jobs/checks/batch/audit.py."""
