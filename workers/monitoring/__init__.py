"""What a fleet tells about itself while it works: metrics for Prometheus, whether it is alive and ready, and traces of rows."""
