"""Checks of articles: their length, title, description, headings, sections and keywords."""
