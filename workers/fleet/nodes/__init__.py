"""The nodes of a cluster: which of them end soon, and what a worker of a model needs of a node."""
