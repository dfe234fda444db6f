"""The commands about content: list its kinds and checks, and check outputs of any origin."""
