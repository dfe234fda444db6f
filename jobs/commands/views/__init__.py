"""Views: how results look to a person. A view takes values, returns lines or a table, and prints nothing."""
