"""Workers do the work: engines hold models, a runner feeds an engine, and the fleet keeps workers running as Ray actors."""
