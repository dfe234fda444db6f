"""Operations: all that the client and the command line do with batches before, during and after a night."""
