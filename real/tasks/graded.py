"""A record whose texts carry a score: a task that somebody, or something slow, has judged already."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from real.records.record import RecordError, read_record
from real.tasks.source import Asked, Graded, TaskSource


def read_graded(path: Path) -> TaskSource:
    """The prompts of a record as questions; each one's texts, with their scores, are its ``item``.

    Raises
    ------
    RecordError
        A text has no score, texts of one prompt stand apart or are not all of one prompt, or the texts were
        drawn greedily or from cut laws, so that their weights in another model say nothing.
    """
    header, texts = read_record(path)
    decoding = header.decoding
    if not decoding.temperature > 0 or decoding.cuts or header.scored not in (None, decoding):
        raise RecordError(
            f"{path.name} was drawn at {decoding}: a score is forecast from texts drawn at a temperature "
            "above 0, uncut, with log-probabilities of that law"
        )
    questions, known = [], set()
    for prompt, group in groupby(texts, lambda text: text.prompt):
        some = tuple(group)
        if prompt in known or len({text.prompt_ids for text in some}) > 1:
            raise RecordError(
                f"{path.name}: expected all texts of prompt {prompt} side by side, of one prompt"
            )
        known.add(prompt)
        missing = [index for index, text in enumerate(some) if text.score is None]
        if missing:
            raise RecordError(
                f"{path.name}: text {missing[0] + 1} of prompt {prompt} has no score; write 'score' into "
                "every line"
            )
        questions.append(Asked(f"prompt {prompt}", item=some))
    if not questions:
        raise RecordError(f"{path.name} holds no text")
    remark = f"{path.name}: scores of texts that {header.model} wrote"
    return TaskSource(
        path.stem,
        tuple(questions),
        stops=(),
        graded=Graded(header.tokenizer_sha256, decoding.temperature, header.seed, header.rounding),
        remarks=(remark,),
    )
