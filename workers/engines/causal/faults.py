"""Turns an exception that a model raises into the fault of a request."""

import torch

from jobs.generation import Fault


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception means that the device or the machine has no memory left."""
    signs = ("allocate memory", "out of memory")
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or any(sign in str(error) for sign in signs)


def fault_of(error: Exception) -> Fault:
    """Return the fault of a request that failed with this exception while it ran alone."""
    reason = str(error).strip().partition("\n")[0] or type(error).__name__
    if is_out_of_memory(error):
        return Fault("out_of_memory", f"The request does not fit into the device's memory: {reason}")
    return Fault("generation_failed", f"The engine failed on this request: {reason}", retryable=True)


def fault_alone(error: Exception) -> Fault:
    """Return the fault of a request that failed with this exception while it ran alone. Frees the memory that a failure keeps.

    Raises:
        torch.AcceleratorError: The device itself is gone.
    """
    if isinstance(error, torch.AcceleratorError):
        raise error
    fault = fault_of(error)
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return fault
