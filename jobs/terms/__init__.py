"""Terms of a team: its glossaries in files, the names that stay, and which of them stand in a row's text."""
