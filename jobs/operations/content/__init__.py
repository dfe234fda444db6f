"""Answers questions about content: what fields a kind takes, what checks its output must pass, and whether outputs pass."""
