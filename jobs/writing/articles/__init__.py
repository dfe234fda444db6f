"""Reads what models write as the parts of an article: headings and heads, sections, questions with answers."""
