"""The audit of a batch: what its rows have in common that no single row shows. jobs/checks/batch/audit.py begins it."""
