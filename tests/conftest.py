"""One hypothesis profile, one torch thread: the same suite on a laptop and on a noisy server."""

import torch
from hypothesis import HealthCheck, settings

settings.register_profile(
    "softmax-drift",
    deadline=None,
    max_examples=60,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("softmax-drift")
torch.set_num_threads(1)
