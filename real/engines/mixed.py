"""Records of a dense model's text under any mix of engines, made when they are not there yet."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from real.cache import cache_folder
from real.engines.engine import Engine
from real.engines.hugging_face import HuggingFaceEngine
from real.engines.names import needs_engine
from real.engines.open import open_engine
from real.engines.recording import draw_record, score_record
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


def records(
    dense: str, others: Sequence[str], plan: Plan, folder: Path | None = None
) -> tuple[Path, list[Path]]:
    """Paths of the dense record and of one record per other model; those that are no files are made.

    ``others`` are records, models, or pruning specs of the dense model if that is one of transformers. What
    is made is kept in ``folder`` (default: the cache) under the hash of what decides its content.

    Raises
    ------
    ValueError
        A spec is given but the dense model is not loaded here.
    """
    folder = folder or cache_folder() / "records"
    engine = None
    if is_record(dense):
        source = Path(dense)
    else:
        engine = open_engine(dense, plan.device, plan.dtype)
        source = folder / _name(engine, vars(plan) | {"prompts": list(plan.prompts)})
        draw_record(
            engine,
            plan.prompts,
            source,
            tokens=plan.tokens,
            samples=plan.samples,
            decoding=Decoding(plan.temperature),
            seed=plan.seed,
            top=plan.top,
        )
    found = []
    for name in others:
        if is_record(name):
            found.append(Path(name))
            continue
        with _opened(name, engine, plan) as other:
            target = folder / _name(other, {"of": source.name, "text": _digest(source), "name": name})
            score_record(other, source, target)
        found.append(target)
    return source, found


def _opened(name: str, dense: Engine | None, plan: Plan) -> AbstractContextManager[Engine]:
    if needs_engine(name) or names_checkpoint(name):
        return nullcontext(open_engine(name, plan.device, plan.dtype))
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


def _name(engine: Engine, settings: dict[str, Any]) -> str:
    facts = [engine.name, engine.description, engine.weights, engine.tokenizer_sha256, settings]
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()
    return f"{digest[:24]}.jsonl"


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
