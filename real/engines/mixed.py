"""Records of a dense model's text under any mix of engines, made when they are not there yet."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from real.cache import cache_folder
from real.engines.engine import Engine
from real.engines.hugging_face import HuggingFaceEngine
from real.engines.names import needs_engine
from real.engines.open import open_engine
from real.engines.recording import draw_record, score_record
from real.models.fetch import file_sha256
from real.pruning.spec import names_checkpoint
from real.pruning.variants import variant
from real.records.record import Decoding, is_record


@dataclass(frozen=True)
class Plan:
    """How the dense text is drawn when the dense model is no record."""

    prompts: Sequence[str]
    tokens: int = 64
    samples: int = 1
    temperature: float = 1.0
    seed: int = 0
    top: int = 0
    device: str = "cpu"
    dtype: str = "float32"
    tokenizer: str | None = None


def records(
    dense: str, others: Sequence[str], plan: Plan, folder: Path | None = None
) -> tuple[Path, list[Path]]:
    """Paths of the dense record and of one record per other model; those that are no files are made.

    ``others`` are records, models, or pruning specs of the dense model if that is one of transformers.

    Raises
    ------
    ValueError
        A spec is given but the dense model is not loaded here.
    """
    engine = None if is_record(dense) else open_engine(dense, plan.device, plan.dtype, plan.tokenizer)
    source = Path(dense) if engine is None else kept_draw(engine, plan, folder)
    found = []
    for name in others:
        if is_record(name):
            found.append(Path(name))
            continue
        with opened(name, engine, plan.device, plan.dtype, plan.tokenizer) as other:
            found.append(kept_score(other, source, folder))
    return source, found


def kept_draw(engine: Engine, plan: Plan, folder: Path | None = None) -> Path:
    """The record of texts drawn as planned, from ``folder`` (default: the cache) if it was made before."""
    settings = vars(plan) | {"prompts": list(plan.prompts)}
    del settings["tokenizer"]  # its hash is a fact of the engine
    target = (folder or _folder(engine)) / _name(engine, settings)
    draw_record(
        engine,
        plan.prompts,
        target,
        tokens=plan.tokens,
        samples=plan.samples,
        decoding=Decoding(plan.temperature),
        seed=plan.seed,
        top=plan.top,
    )
    return target


def kept_score(engine: Engine, texts: Path, folder: Path | None = None) -> Path:
    """The record of another record's texts under ``engine``, kept like :func:`kept_draw`."""
    target = (folder or _folder(engine)) / _name(engine, {"texts": file_sha256(texts)})
    score_record(engine, texts, target)
    return target


def opened(
    name: str,
    dense: Engine | None,
    device: str = "cpu",
    dtype: str = "float32",
    tokenizer: str | None = None,
) -> AbstractContextManager[Engine]:
    """The engine of a model, or of the dense model pruned by a spec until the block ends."""
    if needs_engine(name) or names_checkpoint(name):
        return nullcontext(open_engine(name, device, dtype, tokenizer))
    if not isinstance(dense, HuggingFaceEngine):
        raise ValueError(
            f"{name!r} is a pruning spec, and the dense model is not loaded in transformers: name its folder "
            "or registry name as the dense model, or give a checkpoint"
        )
    return _Pruned(dense, name)


class _Pruned(AbstractContextManager[Engine]):
    """The dense model pruned by a spec, as an engine of its own."""

    def __init__(self, dense: HuggingFaceEngine, spec: str) -> None:
        self.dense, self.spec = dense, spec
        self.pruning = variant(dense.lm, spec)

    def __enter__(self) -> Engine:
        engine = HuggingFaceEngine(self.pruning.__enter__())
        engine.name, engine.weights = self.spec, f"{self.dense.weights} {self.spec}"
        return engine

    def __exit__(self, *failure: Any) -> None:
        self.pruning.__exit__(*failure)


def _folder(engine: Engine) -> Path:
    """The cache; for a server, which may run other weights tomorrow, a folder that ends with this process."""
    return cache_folder() / "records" if engine.weights is not None else Path(_this_run().name)


@cache
def _this_run() -> TemporaryDirectory[str]:
    return TemporaryDirectory(prefix="softmax-drift-")


def _name(engine: Engine, settings: dict[str, Any]) -> str:
    facts = [engine.name, engine.description, engine.weights, engine.tokenizer_sha256, settings]
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()
    return f"{digest[:24]}.jsonl"
