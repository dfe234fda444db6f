"""The parts of kinds that are long: the sections and heads of an article, the request, words and threads of a post."""
