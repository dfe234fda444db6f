"""Simulated nights, with which plans are compared."""
