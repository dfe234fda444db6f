"""One fleet for each store on a cluster: who supervises it, and what other commands want of it."""
