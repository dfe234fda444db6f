"""Planning says by when a backlog is done, how many workers that takes and what it costs: pure functions without a clock."""
