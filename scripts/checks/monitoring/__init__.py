"""Checks of the alerts and the dashboard in deploy/monitoring/ against the table of metrics."""
