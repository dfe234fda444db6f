"""The runtime: one forward pass of the network over the slots of the KV cache."""
