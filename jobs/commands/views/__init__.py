"""Views: turn results into text for a person. A view takes values, returns lines or a table, and prints nothing."""
