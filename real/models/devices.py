"""Where a model may live: asked of PyTorch before anything is read."""

from __future__ import annotations

import os

import torch

AUTO = "auto"


class DeviceError(ValueError):
    """A device that this machine or this build of PyTorch does not have."""


def check_device(device: str) -> str:
    """``device``, if tensors can be put there; ``auto`` lets accelerate spread the layers.

    Raises
    ------
    DeviceError
        It is no device's name, not there, or ``meta``, which holds no numbers.

    >>> check_device("cpu")
    'cpu'
    """
    if device == AUTO:
        return device
    try:
        if torch.device(device).type == "meta":
            raise ValueError("it holds no numbers")
        torch.zeros(1, device=device).item()
    except Exception:  # PyTorch raises what it likes for names, drivers and builds that it lacks
        raise DeviceError(
            f"device {device!r} is not available; this machine has: {', '.join(_available())}"
        ) from None
    return device


def own_device(device: str) -> str:
    """``device``; of several ranks on one machine each has the accelerator of its own number.

    >>> own_device("cpu")
    'cpu'
    """
    mine = os.environ.get("LOCAL_RANK")
    return f"{device}:{mine}" if mine is not None and device == "cuda" else device


def _available() -> list[str]:
    if torch.accelerator.is_available():
        kind = torch.accelerator.current_accelerator()
        count = torch.accelerator.device_count()
        return ["cpu", *(f"{kind}:{index}" for index in range(count)), AUTO]
    return ["cpu", AUTO]
