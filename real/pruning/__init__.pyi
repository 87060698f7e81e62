from .apply import prune as prune
from .apply import pruned as pruned

__all__ = [
    "prune",
    "pruned",
]
