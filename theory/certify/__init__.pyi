from .certificate import certify as certify

__all__ = [
    "certify",
]
