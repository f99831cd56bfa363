"""Memory of the machine that a detector runs on: kept between forward passes, and noticed when it runs out."""

import ctypes
import resource
import sys
from pathlib import Path

import psutil
import torch

from common import memory

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # parameters of mallopt(3)
_KEPT = 2**31 - 1  # bytes of free memory at the end of the heap from which on glibc gives some back
_CGROUPS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")  # as a container sees its own


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


def ran_out(error: BaseException) -> bool:
    """Whether an error says that the device, or the CPU, has no memory left."""
    return isinstance(error, torch.OutOfMemoryError) or memory.ran_out(error)


def total_memory(device: torch.device) -> int:
    """The bytes that a computation can take on a device at the very most, if nothing else ran there.

    Of a GPU its own memory; else the machine's, or what the process's container and limits leave of it.
    """
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[1])
    most = [psutil.virtual_memory().total]
    most += [int(text) for file in _CGROUPS if (text := _content(Path(file))).isdecimal()]
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    return min(most if soft == resource.RLIM_INFINITY else [*most, soft])


def _content(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii").strip()
    except OSError:
        return ""  # there is no such limit
