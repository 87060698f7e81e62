"""What a command has to compute, from counts, before it begins: hours are said, days are asked about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from theory.terminal.cost import check_cost

if TYPE_CHECKING:
    from real.models.load import LanguageModel
    from real.pruning.calibration import Calibration
    from real.tasks.source import TaskSource

# One token costs two operations per weight; a small machine's core does some 2e10 a second, an accelerator
# that is fed a few texts at a time a thousand times as many. The rest is what a token costs any model.
SECONDS_PER_WEIGHT = {"cpu": 1e-10}
SECONDS_PER_WEIGHT_ACCELERATED = 1e-13
SECONDS_PER_TOKEN = 5e-5
SECONDS_PER_TOKEN_ELSEWHERE = 2e-3  # another program's, on weights that are not known here
LETTERS_PER_TOKEN = 4
REQUESTS, TOKENS_PER_REQUEST = 4, 64  # of one question of the harness, roughly
BYTES_PER_STEP = 200  # ids, probabilities and the columns of a comparison, of one token of one text


def seconds_per_token(lm: LanguageModel | None) -> float:
    """Rough seconds of one token in one pass of ``lm``; None is a model of another engine."""
    if lm is None:
        return SECONDS_PER_TOKEN_ELSEWHERE
    weights = sum(parameter.numel() for parameter in lm.model.parameters())
    rate = SECONDS_PER_WEIGHT.get(lm.device.type, SECONDS_PER_WEIGHT_ACCELERATED)
    return SECONDS_PER_TOKEN + rate * weights


def bytes_per_step(lm: LanguageModel | None) -> float:
    """Rough bytes that are kept of one written token: tables, and two head inputs."""
    return BYTES_PER_STEP + (0 if lm is None else 8 * width(lm))


def width(lm: LanguageModel) -> int:
    """Size of the hidden states."""
    embedding: Any = lm.model.get_input_embeddings()
    return int(embedding.weight.shape[-1])


def check_texts(
    lm: LanguageModel | None, texts: Sequence[str], tokens: int, samples: int, passes: int, yes: bool
) -> None:
    """Ask before ``samples`` texts of ``tokens`` tokens after each of ``texts`` are read ``passes`` times.

    Raises
    ------
    ValueError
        That takes days, or more memory than there is, and ``yes`` was not given.
    """
    rows, read = len(texts) * samples, sum(map(len, texts)) // LETTERS_PER_TOKEN * samples
    check_cost(
        f"{rows:,} texts of {tokens:,} tokens, read {passes} times",
        yes,
        seconds_per_token(lm) * passes * (read + rows * tokens),
        bytes_per_step(lm) * rows * tokens + 16 * read,
    )


def made(specs: Sequence[str], calibration: Calibration) -> int:
    """How many models variants come to: chaotic specs are made with several calibration texts."""
    from real.pruning.calibration import calibration_seeds

    return sum(len(calibration_seeds(spec, calibration)) for spec in specs)


def check_questions(
    lm: LanguageModel, sources: Sequence[TaskSource], samples: int, passes: int, yes: bool
) -> None:
    """Ask before every question of ``sources`` is answered ``samples`` times by each of ``passes`` models.

    Raises
    ------
    ValueError
        As :func:`check_texts`.
    """
    questions, read, written = 0, 0, 0
    for source in sources:
        letters = sum(len(one.prompt) for one in source.questions)
        ways = max((len(one.options) for one in source.questions), default=0) or samples
        questions += len(source.questions)
        read += letters // LETTERS_PER_TOKEN * ways
        written += len(source.questions) * source.horizon * ways
    check_cost(
        f"{questions:,} questions to {passes} models",
        yes,
        seconds_per_token(lm) * passes * (read + written),
        bytes_per_step(lm) * written + 16 * read,
    )


def check_harness(
    lm: LanguageModel, tasks: Sequence[str], limit: int | None, batch_size: int, models: int, yes: bool
) -> None:
    """Ask before ``models`` models answer all questions of ``tasks``, ``batch_size`` at once.

    Raises
    ------
    ValueError
        As :func:`check_texts`.
    """
    from real.tasks.evaluate import count_questions

    questions = count_questions(lm, tasks, limit)
    requests = questions * REQUESTS
    logits = 4 * TOKENS_PER_REQUEST * int(lm.model.config.get_text_config().vocab_size)
    check_cost(
        f"{questions:,} questions to {models} models, {batch_size:,} at once",
        yes,
        seconds_per_token(lm) * models * requests * TOKENS_PER_REQUEST,
        min(batch_size, requests) * logits,
    )


def check_trace(lm: LanguageModel, tokens: int, sublayers: int, yes: bool) -> None:
    """Ask before the drift of ``sublayers`` sublayers, each by itself, at ``tokens`` positions.

    Raises
    ------
    ValueError
        As :func:`check_texts`.
    """
    check_cost(
        f"the drift of {sublayers} sublayers at {tokens:,} positions",
        yes,
        seconds_per_token(lm) * tokens * (1 + sublayers),  # each is a head product, the dearest of layers
        sublayers * tokens * (8 * width(lm) + 2 * BYTES_PER_STEP),
    )
