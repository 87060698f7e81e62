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
    answer_tokens: int  # of the answers shown in table 2
    calibration: tuple[int, int]  # texts, tokens in each
    measured_calibration: tuple[int, int]  # for criteria that run the model once for every candidate
    choice_items: int  # of each multiple-choice task
    items: int  # of each task with written answers
    ladder: tuple[int, ...]  # numbers of dropped sublayers
    patterns: tuple[str, ...]  # of sparse weights


PROFILES = {
    profile.name: profile
    for profile in (
        Profile(
            name="quick",
            prompts_per_kind=1,
            tokens=4,
            steps=16,
            free_steps=8,
            samples=3,
            sample_tokens=8,
            answer_tokens=10,
            calibration=(1, 128),
            measured_calibration=(1, 32),
            choice_items=2,
            items=2,
            ladder=(0, 4),
            patterns=("2:4",),
        ),
        Profile(
            name="default",
            prompts_per_kind=4,
            tokens=8,
            steps=160,
            free_steps=40,
            samples=4,
            sample_tokens=32,
            answer_tokens=48,
            calibration=(8, 256),
            measured_calibration=(2, 64),
            choice_items=40,
            items=16,
            ladder=(0, 2, 4, 8),
            patterns=("50%", "2:4"),
        ),
        Profile(
            name="full",
            prompts_per_kind=4,
            tokens=128,
            steps=200,
            free_steps=200,
            samples=64,
            sample_tokens=128,
            answer_tokens=256,
            calibration=(128, 512),
            measured_calibration=(16, 128),
            choice_items=200,
            items=200,
            ladder=tuple(range(13)),
            patterns=("50%", "4:8", "2:4"),
        ),
    )
}
