"""What figures share: model, sizes, seed, progress, and results that are computed once."""

from __future__ import annotations

import hashlib
import inspect
import json
import platform
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol, TypeVar

import pandas as pd

import real
from paper_figs.profiles import Profile
from real.pruning.choose import Memory
from theory.files import atomic_path
from theory.fingerprint import fingerprint
from theory.terminal.console import say

Item = TypeVar("Item")
LIBRARIES = ("torch", "transformers", "numpy")
_READABLE = 40  # characters of a parameter


class Progress(Protocol):
    """The one thing a computation may say about itself while it runs."""

    def track(self, items: Iterable[Item], total: int | None, description: str) -> Iterator[Item]: ...


class Silent:
    """No progress display: for tests and for use as a library."""

    def track(self, items: Iterable[Item], total: int | None, description: str) -> Iterator[Item]:
        del total, description
        yield from items


@dataclass(frozen=True)
class Setup:
    """What was asked for. Together with the code it determines every number."""

    model: str
    encoder: str
    seed: int
    device: str
    profile: Profile


@dataclass
class Context:
    """Given to every ``compute``. ``recall`` shares work between figures and between runs."""

    setup: Setup
    folder: Path  # where results are kept
    force: bool = False  # compute again what is already kept, once
    progress: Progress = field(default_factory=Silent)
    models: dict[str, dict[str, Any]] = field(default_factory=dict)  # provenance of those used, by name
    costs: dict[str, float] = field(default_factory=dict)  # processor seconds, by computation used
    memory: Memory = field(default_factory=Memory)  # of the dense model's parts: every ranking is of one pass
    _spent: float = 0.0  # processor seconds of what the computation under way has asked for
    _loaded: dict[str, real.LanguageModel] = field(default_factory=dict)
    _frames: dict[Path, tuple[pd.DataFrame, dict[str, Any]]] = field(default_factory=dict)

    @property
    def lm(self) -> real.LanguageModel:
        """The dense language model, loaded when a computation first asks for it."""
        return self._use("lm", lambda: real.load(self.setup.model, device=self.setup.device))

    @property
    def encoder(self) -> real.LanguageModel:
        """The dense retrieval encoder, loaded when a computation first asks for it."""
        return self._use("encoder", lambda: real.load_encoder(self.setup.encoder, device=self.setup.device))

    def _use(self, role: str, load: Callable[[], real.LanguageModel]) -> real.LanguageModel:
        model = self._loaded.get(role) or self._loaded.setdefault(role, load())
        self.models[model.name] = dict(model.provenance)
        return model

    def track(self, items: Iterable[Item], description: str, total: int | None = None) -> Iterator[Item]:
        """Iterate over ``items`` under a progress bar."""
        return self.progress.track(items, total, description)

    def recall(self, compute: Callable[..., pd.DataFrame], **parameters: Any) -> pd.DataFrame:
        """Return ``compute(self, **parameters)``, computed once for one setup and one state of the code.

        Kept as Parquet with its provenance inside, written atomically: a killed run loses what it was
        computing and nothing else.
        """
        return self.recall_with_provenance(compute, **parameters)[0]

    def recall_with_provenance(
        self, compute: Callable[..., pd.DataFrame], **parameters: Any
    ) -> tuple[pd.DataFrame, dict[str, Any]]:
        """As ``recall``; also say which models, versions and time the numbers come from."""
        if isinstance(compute, partial):
            parameters = compute.keywords | parameters
            compute = compute.func
        parameters = _with_defaults(compute, parameters)
        path = self._path(compute, parameters)
        if path not in self._frames:
            known = None if self.force else _kept(path)
            if known is None:
                self._compute(path, compute, parameters)
                known = pd.read_parquet(path)
            self._frames[path] = (known, known.attrs.pop("provenance"))
        frame, provenance = self._frames[path]
        self.models |= provenance["models"]
        self.costs |= provenance["processor_seconds"]
        return frame, provenance

    def _compute(self, path: Path, compute: Callable[..., pd.DataFrame], parameters: dict[str, Any]) -> None:
        outer = self.models, self.costs, self._spent
        self.models, self.costs, self._spent = {}, {}, 0.0
        start, began = time.monotonic(), time.process_time()
        try:
            frame = compute(self, **parameters)
            whole = time.process_time() - began
            used = self.models
            costs = self.costs | {_label(path, parameters): round(whole - self._spent, 2)}
        finally:
            self.models, self.costs = outer[0] | self.models, outer[1] | self.costs
            self._spent = outer[2] + time.process_time() - began
        frame.attrs["provenance"] = {
            "models": used,
            "setup": asdict(self.setup),
            "parameters": parameters,
            "seconds": round(time.monotonic() - start, 1),
            "processor_seconds": costs,
            "computed": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "code": fingerprint(compute.__module__),
            "versions": {name: version(name) for name in LIBRARIES} | {"python": platform.python_version()},
        }
        with atomic_path(path) as partial:
            frame.to_parquet(partial, write_page_checksum=True)

    def _path(self, compute: Callable[..., pd.DataFrame], parameters: dict[str, Any]) -> Path:
        key = {
            "setup": asdict(self.setup),
            "parameters": parameters,
            "code": fingerprint(compute.__module__),
            "versions": {name: version(name) for name in LIBRARIES},
            "weights": _state_of_folder(self.setup.model),
        }
        digest = hashlib.sha256(json.dumps(key, sort_keys=True, default=str).encode()).hexdigest()[:16]
        name = f"{compute.__module__.rpartition('.')[2]}.{compute.__name__}-{digest}.parquet"
        return self.folder / name


def _kept(path: Path) -> pd.DataFrame | None:
    """A table that an earlier run kept; None if there is none or, saying so, if it is damaged."""
    if not path.exists():
        return None
    try:
        frame = pd.read_parquet(path, page_checksum_verification=True)
        if "processor_seconds" in frame.attrs["provenance"]:
            return frame
    except (OSError, ValueError, LookupError, TypeError):  # what Arrow raises on foreign bytes
        pass
    say(f"{path} is damaged and will be made again")
    return None


def _label(path: Path, parameters: dict[str, Any]) -> str:
    """A computation as a reader knows it, and unmistakable: ``scores.items spec=attn:8 #4a1a32``."""
    name, _, digest = path.stem.rpartition("-")
    short = [f"{key}={value}" for key, value in parameters.items() if len(str(value)) <= _READABLE]
    return " ".join([name, *short, f"#{digest[:6]}"])


def _with_defaults(compute: Callable[..., pd.DataFrame], parameters: dict[str, Any]) -> dict[str, Any]:
    """Every parameter after the context, so that leaving one out and giving its default is one result."""
    bound = inspect.signature(compute).bind(None, **parameters)
    bound.apply_defaults()
    context, *_ = bound.arguments
    return {name: value for name, value in bound.arguments.items() if name != context}


def _state_of_folder(model: str) -> list[tuple[str, int, int]]:
    """Names, sizes and times of a local model's files: a checkpoint saved anew is another model."""
    folder = Path(model)
    if not folder.is_dir():
        return []
    files = sorted(folder.glob("*.safetensors")) + sorted(folder.glob("config.json"))
    return [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
