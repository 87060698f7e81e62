"""Names of pruned models as a reader knows them."""

from __future__ import annotations

_DROPPED = {"attn": "attention sublayer", "mlp": "MLP sublayer", "block": "block"}
_SPARSE = {"wanda": "Wanda", "sparsegpt": "SparseGPT"}


def in_words(spec: str) -> str:
    """What a spec does; one that is neither dropping nor sparsity stays as it is.

    >>> in_words("attn:1"), in_words("mlp:8"), in_words("wanda:2:4"), in_words("int4")
    ('1 attention sublayer dropped', '8 MLP sublayers dropped', 'Wanda 2:4', 'int4')
    """
    kind, _, rest = spec.partition(":")
    if kind in _DROPPED and rest.isdigit():
        return f"{rest} {_DROPPED[kind]}{'' if rest == '1' else 's'} dropped"
    return f"{_SPARSE[kind]} {rest}" if kind in _SPARSE else spec
