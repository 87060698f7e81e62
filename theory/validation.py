"""One sentence for bad input: the argument, its value, and what would have been accepted."""

from __future__ import annotations

import math

import torch
from torch import Tensor

# Squares, and quotients by the temperature, must stay inside the float64 range.
LARGEST_MAGNITUDE = 1e150
DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def check_pair(name: str, value: Tensor, other_name: str, other: Tensor) -> None:
    """Raise ValueError unless the two tensors are floating point, alike, not empty along V, and finite."""
    check_alike(name, value, other_name, other)
    check_finite(name, value)
    check_finite(other_name, other)


def check_alike(name: str, value: Tensor, other_name: str, other: Tensor) -> None:
    """Raise ValueError unless both are dense tensors of one shape, floating dtype and device."""
    for label, tensor in ((name, value), (other_name, other)):
        check_floats(label, tensor)
    for what in ("shape", "dtype", "device"):
        one, two = getattr(value, what), getattr(other, what)
        if one != two:
            one, two = (tuple(one), tuple(two)) if what == "shape" else (one, two)
            raise ValueError(f"{other_name} has {what} {two}; expected that of {name}, {one}")


def check_floats(name: str, value: Tensor) -> None:
    """Raise ValueError unless ``value`` is a dense tensor of numbers that arithmetic is defined on."""
    if not isinstance(value, Tensor):
        raise ValueError(f"{name} is a {type(value).__name__}; expected a torch tensor")
    if not value.dtype.is_floating_point:
        raise ValueError(f"{name} has dtype {value.dtype}; expected a floating-point dtype")
    if value.dtype not in DTYPES:
        raise ValueError(f"{name} has dtype {value.dtype}; expected float16, bfloat16, float32 or float64")
    if value.is_meta:
        raise ValueError(f"{name} is on the device meta and holds no values; expected a tensor with values")
    if value.layout is not torch.strided:
        raise ValueError(f"{name} has layout {value.layout}; expected a dense tensor")


def check_finite(name: str, value: Tensor) -> None:
    """Raise ValueError unless the last axis exists, is not empty, and all values are finite and moderate."""
    check_floats(name, value)
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


def check_logits(name: str, value: Tensor) -> bool:
    """:func:`check_finite`, but -inf is a token of probability zero; whether there are such tokens.

    Raises
    ------
    ValueError
        As :func:`check_finite`, and for a row that is -inf throughout.
    """
    check_floats(name, value)
    if value.ndim == 0 or value.numel() == 0 or value.detach().amin().item() != -math.inf:
        check_finite(name, value)
        return False
    if bool((value.detach().amax(-1) == -math.inf).any()):
        raise ValueError(f"{name} has a row that is -inf throughout; expected a token that can be drawn")
    check_finite(name, value.detach().masked_fill(torch.isneginf(value), 0.0))
    return True


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
    sizes = (t.detach().masked_fill(torch.isneginf(t), 0.0).abs() for t in logits if t.numel())
    largest = max((float(size.max()) for size in sizes), default=0.0)
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
