"""Weight-only round-to-nearest quantisation, by torchao; the rounded weights stay in the model's dtype.

int8: symmetric, one scale per output row. int4: asymmetric, one scale and zero point per group of at most 128
consecutive inputs. The model then computes with the rounded values and loads anywhere; it is not smaller.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torchao.quantization.quant_primitives import (
    MappingType,
    choose_qparams_affine,
    dequantize_affine,
    quantize_affine,
)

GROUP = 128


def round_to_nearest(weight: Tensor, bits: int) -> Tensor:
    """``weight`` (outputs, inputs) rounded to ``bits`` bits, same dtype."""
    plain = weight.float().contiguous()
    symmetric = bits == 8
    block = (1, plain.shape[1] if symmetric else group_size(plain.shape[1]))
    kind = MappingType.SYMMETRIC if symmetric else MappingType.ASYMMETRIC
    # -127 … 127, not -128: the largest weight of a row is then a level itself and is not clipped.
    levels = (1 - 2 ** (bits - 1), 2 ** (bits - 1) - 1) if symmetric else (0, 2**bits - 1)
    stored = torch.int8 if symmetric else torch.uint8
    scale, zero = choose_qparams_affine(plain, kind, block, stored, *levels)
    codes = quantize_affine(plain, block, scale, zero, stored, *levels)
    rounded: Tensor = dequantize_affine(codes, block, scale, zero, stored, *levels)
    return rounded.to(weight.dtype)


def group_size(inputs: int) -> int:
    """The largest divisor of ``inputs`` up to 128."""
    return next(size for size in range(min(GROUP, inputs), 0, -1) if inputs % size == 0)
