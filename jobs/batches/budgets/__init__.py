"""What rows may cost: the reservation of a row, the log of a batch's budgets, and the grants by which rows are fed."""
