"""The checks that hold an output to the text from which it was made: what must not change, and what must."""
