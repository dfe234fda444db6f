"""The checks of a translation's terms: its glossary, and the names that stay as they are."""
