"""What stands in a text besides its words: numbers, addresses, placeholders, markup and end marks, each with its place."""
