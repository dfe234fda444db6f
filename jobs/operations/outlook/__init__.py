"""What is to come: the backlog of each lane, the workers that it needs, when it is done and what it costs."""
