"""The sections of an article while they are written, and what stands around them."""
