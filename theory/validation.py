"""One sentence for bad input: the argument, its value, and what would have been accepted."""

from __future__ import annotations

import math

import torch
from torch import Tensor

# Squares, and quotients by the temperature, must stay inside the float64 range.
LARGEST_MAGNITUDE = 1e150


def check_pair(name: str, value: Tensor, other_name: str, other: Tensor) -> None:
    """Raise ValueError unless the two tensors are floating point, alike, not empty along V, and finite."""
    for label, tensor in ((name, value), (other_name, other)):
        if not isinstance(tensor, Tensor):
            raise ValueError(f"{label} is a {type(tensor).__name__}; expected a torch tensor")
        if not tensor.dtype.is_floating_point:
            raise ValueError(f"{label} has dtype {tensor.dtype}; expected a floating-point dtype")
    for what in ("shape", "dtype", "device"):
        one, two = getattr(value, what), getattr(other, what)
        if one != two:
            one, two = (tuple(one), tuple(two)) if what == "shape" else (one, two)
            raise ValueError(f"{other_name} has {what} {two}; expected that of {name}, {one}")
    check_finite(name, value)
    check_finite(other_name, other)


def check_finite(name: str, value: Tensor) -> None:
    """Raise ValueError unless the last axis exists, is not empty, and all values are finite and moderate."""
    if value.ndim == 0 or value.shape[-1] == 0:
        raise ValueError(f"{name} has shape {tuple(value.shape)}; expected (..., V) with V >= 1")
    if value.numel() == 0:
        return
    low, high = (bound.item() for bound in torch.aminmax(value.detach()))
    if not (math.isfinite(low) and math.isfinite(high)):
        bad = low if not math.isfinite(low) else high
        raise ValueError(f"{name} contains {bad}; expected finite values")
    if max(-low, high) > LARGEST_MAGNITUDE:
        raise ValueError(
            f"{name} contains {max(low, high, key=abs)}; expected at most {LARGEST_MAGNITUDE:g} in size"
        )


def check_temperature(temperature: float) -> float:
    """Return the temperature as a float; raise ValueError unless it is positive and finite."""
    value = float(temperature)
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"temperature is {value}; expected a positive finite number")
    return value


def check_size(temperature: float, *logits: Tensor) -> float:
    """:func:`check_temperature`, and ValueError if logits/T would leave the range that can be squared."""
    value = check_temperature(temperature)
    if value >= 1:  # finite logits are at most LARGEST_MAGNITUDE in size already
        return value
    largest = max((float(t.detach().abs().max()) for t in logits if t.numel()), default=0.0)
    if largest > LARGEST_MAGNITUDE * value:
        least = largest / LARGEST_MAGNITUDE
        raise ValueError(
            f"temperature is {value}; expected at least {least:g} for logits of size {largest:g}"
        )
    return value


def check_tokens(tokens: Tensor, logits: Tensor) -> Tensor:
    """Return the tokens as int64; raise ValueError unless they have the leading shape and lie in [0, V)."""
    lead, vocabulary = logits.shape[:-1], logits.shape[-1]
    if tokens.dtype.is_floating_point or tokens.shape != lead or tokens.device != logits.device:
        raise ValueError(
            f"tokens has shape {tuple(tokens.shape)}, dtype {tokens.dtype}, device {tokens.device}; "
            f"expected integers {tuple(lead)} on {logits.device}"
        )
    if tokens.numel() and not 0 <= int(tokens.min()) <= int(tokens.max()) < vocabulary:
        bad = int(tokens.min()) if int(tokens.min()) < 0 else int(tokens.max())
        raise ValueError(f"tokens contains {bad}; expected ids from 0 to {vocabulary - 1}")
    return tokens.to(torch.int64)


def check_options(options: Tensor, vocabulary: int) -> Tensor:
    """Return the option ids as int64; raise ValueError unless they are a set of distinct ids in [0, V)."""
    if not isinstance(options, Tensor) or options.ndim != 1 or options.dtype.is_floating_point:
        shown = tuple(options.shape) if isinstance(options, Tensor) else type(options).__name__
        raise ValueError(f"options is {shown}; expected a 1-D tensor of integer token ids")
    ids = options.to(torch.int64)
    if ids.numel() == 0:
        raise ValueError("options is empty; expected at least one token id")
    low, high = int(ids.min()), int(ids.max())
    if low < 0 or high >= vocabulary:
        raise ValueError(
            f"options contains {low if low < 0 else high}; expected ids from 0 to {vocabulary - 1}"
        )
    ordered = ids.sort().values
    repeated = ordered[1:][ordered.diff() == 0]
    if repeated.numel():
        raise ValueError(f"options contains {int(repeated[0])} twice; expected distinct token ids")
    return ids
