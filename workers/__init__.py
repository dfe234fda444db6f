"""What does the work: engines that hold models, the runner that feeds them, the Ray actors and the fleet."""
