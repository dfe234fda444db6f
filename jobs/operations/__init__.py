"""Operations: what an operator asks before, during and after a night."""
