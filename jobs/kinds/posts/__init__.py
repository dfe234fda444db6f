"""What a social post is made of: its request, the words that are read from an answer, and the posts of a thread."""
