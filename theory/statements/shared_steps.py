"""Steps that several families share."""

from __future__ import annotations

import mpmath
import sympy as sp

from theory.instances.instance import Instance, cumulant
from theory.proofs.sampled import sampled
from theory.proofs.symbolic import identity

__all__ = ["Instance", "cosine_as_moments", "kantorovich"]

_k, _y, _m = sp.symbols("k y m", positive=True)

kantorovich = identity(
    "((1+k) y m - k y^2)/m^2, m = E Y, is at most its value (1+k)^2/(4k), attained at m = 2ky/(1+k)",
    (1 + _k) ** 2 / (4 * _k) - ((1 + _k) * _y * _m - _k * _y**2) / _m**2,
    ((1 + _k) * _m - 2 * _k * _y) ** 2 / (4 * _k * _m**2),
)

cosine_as_moments = sampled(
    "A3: cos(p,q)^-2 = E_r e^(2 delta) / (E_r e^delta)^2, r proportional to p^2",
    lambda x: [
        (
            -2 * mpmath.log1p(-x.column("cosdist_p")),
            "=",
            cumulant(x.r, x.delta, 2) - 2 * cumulant(x.r, x.delta, 1),
        )
    ],
)
