"""Numbers on the right side of the exact value in spite of every rounding."""

from theory.certify.certificate import certify as certify
