"""The links in a text, as X, Mastodon and Bluesky find them, and those that a model wrote."""
