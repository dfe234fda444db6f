"""The commands about content itself: its kinds, their checks, and checks of outputs from anywhere."""
