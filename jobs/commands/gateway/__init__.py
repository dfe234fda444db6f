"""The commands of the HTTP gateway: `serve`, and `keys` for those who use it."""
