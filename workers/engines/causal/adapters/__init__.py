"""Adapters (LoRA, arXiv 2106.09685) of a causal model, a different one for each row of a step.

`lora` reads the files of an adapter and refuses those that it could not apply exactly. `targets` finds the layers of a network
that adapters may change, also inside packed and fused layers. `residency` decides which adapters are in memory, and `bank` holds
their weights. `grouped` adds to the outputs of a layer what the adapters of the step's rows add: rows are sorted by adapter, and
the rows of all adapters go through one product, padded to the most rows of one.
"""
