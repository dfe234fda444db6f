"""Probabilities of labels, made from the log likelihoods that an engine gives."""
