"""How much each profile measures: the figures are the same, the number of prompts and tokens is not."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Profile:
    """Sizes of one run."""

    name: str
    prompts_per_kind: int  # of the three kinds: multiple choice, word problem, open
    tokens: int  # sampled by the dense model after each prompt, for the layer-wise traces
    steps: int  # length of the one long trajectory followed step by step
    free_steps: int  # that both models write on their own
    samples: int  # dense samples for each prompt, for sequence total variation
    sample_tokens: int
    calibration: tuple[int, int]  # texts, tokens in each
    items: int  # of each task


PROFILES = {
    profile.name: profile
    for profile in (
        Profile("quick", 1, 12, 40, 24, 8, 16, (4, 128), 12),
        Profile("default", 4, 24, 160, 64, 16, 32, (16, 256), 60),
        Profile("full", 4, 128, 200, 200, 64, 128, (128, 512), 400),
    )
}
