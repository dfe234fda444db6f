"""The parts of the kind `translation`: its request, the units and parts of a text, masking, terms, and known segments."""
