"""Options: declares the options that several commands share, once for all of them."""
