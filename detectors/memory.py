"""Memory of the machine that a detector runs on: kept between forward passes, and noticed when it runs out."""

import ctypes
import sys

import torch

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # parameters of mallopt(3)
_KEPT = 2**31 - 1  # bytes of free memory at the end of the heap from which on glibc gives some back
_CPU_WORDS = ("can't allocate memory", "not enough memory")  # of torch's allocator on a CPU, which raises RuntimeError


def keep_freed_memory() -> bool:
    """Lets this process keep up to 2 GiB of freed memory for its next allocations; whether that was possible.

    By default glibc returns the large blocks of a network's activations to the system after every layer and has them
    back, page by page and zeroed, in the next: a fifth of the time of a forward pass (benchmarks/NOTES.md). The most
    memory that a process takes stays about the same; it no longer shrinks in between. Only where the C library is
    glibc; elsewhere nothing happens.
    """
    if not sys.platform.startswith("linux"):
        return False
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "mallopt"):
        return False
    return bool(libc.mallopt(_M_MMAP_MAX, 0)) and bool(libc.mallopt(_M_TRIM_THRESHOLD, _KEPT))


def ran_out(error: Exception) -> bool:
    """Whether an error of torch says that the device, or the CPU, has no memory left."""
    return isinstance(error, torch.OutOfMemoryError) or any(words in str(error) for words in _CPU_WORDS)
