"""Draw or score texts with an engine and write the record."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from real.engines.engine import Engine, Row, score_texts
from real.models.fetch import file_sha256
from real.records.pairs import check_dense
from real.records.record import Decoding, Header, RecordedText, RecordError, read_record
from real.records.write import Progress, write_record
from theory.terminal.console import track


def draw_record(
    engine: Engine,
    prompts: Sequence[str],
    out: str | Path,
    *,
    tokens: int = 64,
    samples: int = 1,
    decoding: Decoding | None = None,
    seed: int = 0,
    top: int = 0,
) -> Progress:
    """Draw ``samples`` texts of up to ``tokens`` tokens for every prompt; an interrupted run goes on.

    ``top``: so many of the most likely tokens are kept per step.

    Raises
    ------
    ValueError
        A prompt is empty, or does not fit into the context with ``tokens`` new ones.
    RecordError
        ``out`` holds another record.
    """
    decoding = decoding or Decoding()
    _check_decoding(decoding, samples, tokens, top)
    if not prompts:
        raise ValueError("prompts are empty: give at least one")
    encoded = [tuple(engine.encode(text)) for text in prompts]
    for index, ids in enumerate(encoded):
        if not ids or len(ids) + tokens > engine.context_length:
            raise ValueError(
                f"prompt {index} has {len(ids)} tokens; with {tokens} new ones it must have more than "
                f"{tokens} and at most {engine.context_length}, the context of {engine.name}"
            )
    rows = [
        Row(index * samples + sample, index, ids)
        for index, ids in enumerate(encoded)
        for sample in range(samples)
    ]
    rows.sort(key=lambda row: len(row.prompt_ids))  # texts of like length share a batch
    digest = hashlib.sha256(json.dumps(encoded).encode()).hexdigest()
    settings = {"tokens": tokens, "samples": samples, "top": top, "prompts_sha256": digest}
    header = _header(engine, decoding, seed, settings)

    def drawn(start: int) -> Iterable[RecordedText]:
        rest = rows[start:]
        return track(engine.draw(rest, tokens, decoding, seed, top), "recording", total=len(rest))

    return write_record(out, header, drawn, len(rows))


def score_record(engine: Engine, texts: str | Path, out: str | Path, *, top: int | None = None) -> Progress:
    """Score the texts of the record ``texts`` with another model; an interrupted run goes on.

    ``top`` is by default what the record keeps itself; tokens that it lists are always listed too.

    Raises
    ------
    RecordError
        The texts are of another tokenizer, or were recorded in a way that cannot be compared.
    """
    dense, _ = read_record(texts)
    check_dense(str(texts), dense)
    theirs, ours = dense.tokenizer_sha256, engine.tokenizer_sha256
    if None not in (theirs, ours) and theirs != ours:
        raise RecordError(
            f"{texts} was made with another tokenizer than that of {engine.name}: the same token ids mean "
            "different text"
        )
    top = int(dense.settings.get("top", 0)) if top is None else top
    _check_decoding(dense.decoding, 1, 1, top)
    count = sum(1 for _ in read_record(texts)[1])
    settings = {"top": top, "texts_sha256": file_sha256(Path(texts))}
    header = _header(engine, dense.decoding, dense.seed, settings)

    def scored(start: int) -> Iterator[RecordedText]:
        rest = islice(read_record(texts)[1], start, None)
        return track(score_texts(engine, rest, dense.decoding, top), "scoring", total=count - start)

    return write_record(out, header, scored, count)


def _header(engine: Engine, decoding: Decoding, seed: int, settings: dict[str, object]) -> Header:
    return Header(
        model=engine.name,
        engine=engine.description,
        tokenizer_sha256=engine.tokenizer_sha256,
        decoding=decoding,
        scored=engine.scored(decoding),
        seed=seed,
        rounding=engine.rounding,
        settings=settings | {"weights": engine.weights},
    )


def _check_decoding(decoding: Decoding, samples: int, tokens: int, top: int) -> None:
    limits = {"samples": (samples, 1), "tokens": (tokens, 1), "top": (top, 0)}
    for name, (value, least) in limits.items():
        if value < least:
            raise ValueError(f"{name} must be at least {least}, got {value}")
    if not 0 <= decoding.temperature < float("inf"):
        raise ValueError(f"temperature must be 0 (greedy) or positive, got {decoding.temperature:g}")
    if decoding.top_k is not None and decoding.top_k < 1:
        raise ValueError(f"top_k must be at least 1, got {decoding.top_k}")
    for name in ("top_p", "min_p"):
        share = getattr(decoding, name)
        if share is not None and not 0 < share <= 1:
            raise ValueError(f"{name} must be in (0, 1], got {share:g}")
    if not decoding.repetition_penalty > 0:
        raise ValueError(f"repetition_penalty must be positive, got {decoding.repetition_penalty:g}")
