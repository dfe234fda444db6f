"""Operations: what can be done with batches before, during and after a night, for the client and the command line."""
