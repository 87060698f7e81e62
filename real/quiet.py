"""Imported first: transformers imports torchao, which warns of GPU kernels that a CPU build cannot load."""

import logging

for name in ("torchao", "torch.utils._pytree"):
    logging.getLogger(name).setLevel(logging.ERROR)
