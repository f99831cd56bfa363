"""Where a detector runs."""

import torch

from common.errors import InputError


def resolve_device(name: str) -> torch.device:
    """The device that `auto`, `cpu`, `cuda`, `cuda:N` or `mps` means on this machine.

    `auto` is the first of CUDA, MPS and the CPU that is there. Raises InputError for another name and for a
    device that this machine or this build of torch does not have.
    """
    kind, _, index = name.partition(":")
    if kind == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "mps" if _has_mps() else "cpu")
    known = (kind in ("cpu", "mps") and not index) or (kind == "cuda" and (index.isdecimal() or name == "cuda"))
    if not known:
        raise InputError(f"unknown device {name!r}; known: auto, cpu, cuda, cuda:N, mps")
    if kind == "cuda" and int(index or 0) >= (torch.cuda.device_count() if torch.cuda.is_available() else 0):
        raise InputError(f"device {name!r} is not available: torch sees {_cuda_devices()}; use auto or cpu")
    if kind == "mps" and not _has_mps():
        raise InputError("device 'mps' is not available on this machine; use auto or cpu")
    return torch.device(name)


def several(name: str, count: int) -> torch.device:
    """The device of each of `count` processes that train together: `resolve_device` where it is one.

    Several are the first CUDA devices, or as many processes on the CPU. Raises InputError where they are not there.
    """
    device = resolve_device(name)
    if count < 1:
        raise InputError(f"--devices must be at least 1, got {count}")
    if count == 1 or device.type == "cpu":
        return device
    if device.type == "mps" or device.index is not None:
        raise InputError(f"--devices {count} is for cuda, whose first devices are taken, or cpu; not for {name}")
    if count > torch.cuda.device_count():
        raise InputError(f"--devices {count}: torch sees {_cuda_devices()}")
    return device


def _has_mps() -> bool:
    return torch.backends.mps.is_available()


def _cuda_devices() -> str:
    return f"{torch.cuda.device_count()} CUDA device(s)" if torch.cuda.is_available() else "no CUDA device"
