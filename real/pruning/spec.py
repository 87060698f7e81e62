"""Pruning specifications: the strings that are at once API, command line and figure legend.

``attn:8`` ``mlp:4`` ``block:6`` ``joint:4``   drop that many sublayers (blocks), chosen by the paper's cosine
``attn:8@kl`` ``@tv`` ``@greedy``              chosen by measured mean KL or TV; one by one by joint KL
``attn:[3,7]``                                 drop exactly these
``random:4``                                   drop four sublayers at random (control)
``magnitude:50%`` ``wanda:2:4`` ``sparsegpt:4:8``  sparsify weights: any percentage, any n zeros in every m
``int8`` ``int4``                              weight-only round-to-nearest
``wanda:50%@[3,7]`` ``int4@[3,7]``             the same in these layers only
``attn:8+mean`` ``+linear`` ``+scale``         repair what was dropped, see :mod:`real.pruning.repair`
``attn:4+wanda:2:4``                           one after the other; ``dense`` is nothing at all
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

from theory.files import expanded
from theory.names import UnknownNameError, lookup

Target = Literal["attn", "mlp", "block", "joint", "random"]
Criterion = Literal["cosine", "kl", "tv", "greedy"]
Method = Literal["magnitude", "wanda", "sparsegpt"]
RepairKind = Literal["mean", "linear", "scale"]

TARGETS: tuple[Target, ...] = get_args(Target)
CRITERIA: tuple[Criterion, ...] = get_args(Criterion)
METHODS: tuple[Method, ...] = get_args(Method)
REPAIRS: tuple[RepairKind, ...] = get_args(RepairKind)
DENSE = "dense"
_LAYERS = r"\[(\d+(?:\s*,\s*\d+)*)\]"
EXAMPLES: dict[str, str] = {
    **{target: f"{target}:4" for target in TARGETS},
    **{method: f"{method}:2:4" for method in METHODS},
    "int8": "int8",
    "int4": "int4",
    **{kind: f"attn:4+{kind}" for kind in REPAIRS},
    DENSE: DENSE,
}


class SpecError(ValueError):
    """A pruning specification that cannot be read, or that does not fit the model."""


@dataclass(frozen=True)
class Drop:
    """Drop ``count`` sublayers or blocks chosen by ``criterion``, or exactly those in ``layers``."""

    target: Target
    count: int
    layers: tuple[int, ...] | None = None
    criterion: Criterion = "cosine"

    def __str__(self) -> str:
        if self.layers is not None:
            return f"{self.target}:{_listed(self.layers)}"
        return f"{self.target}:{self.count}" + ("" if self.criterion == "cosine" else f"@{self.criterion}")


@dataclass(frozen=True)
class Unstructured:
    """Zero ``percent`` of the weights."""

    percent: float

    def __str__(self) -> str:
        return f"{self.percent:g}%"


@dataclass(frozen=True)
class NofM:
    """Zero exactly ``n`` of every ``m`` consecutive inputs of each output row."""

    n: int
    m: int

    def __str__(self) -> str:
        return f"{self.n}:{self.m}"


@dataclass(frozen=True)
class Sparsify:
    """Set weights of all linear maps inside the layers (all, or those in ``layers``) to zero."""

    method: Method
    pattern: Unstructured | NofM
    layers: tuple[int, ...] | None = None

    def __str__(self) -> str:
        return f"{self.method}:{self.pattern}{_at(self.layers)}"


@dataclass(frozen=True)
class Quantise:
    """Round weights of all linear maps inside the layers (all, or those in ``layers``) to nearest."""

    bits: int
    layers: tuple[int, ...] | None = None

    def __str__(self) -> str:
        return f"int{self.bits}{_at(self.layers)}"


def _at(layers: tuple[int, ...] | None) -> str:
    return "" if layers is None else f"@{_listed(layers)}"


def _listed(layers: tuple[int, ...]) -> str:
    return f"[{','.join(map(str, layers))}]"


@dataclass(frozen=True)
class Repair:
    """Put something cheap in the place of every part dropped so far; nothing is dropped after it."""

    kind: RepairKind

    def __str__(self) -> str:
        return self.kind


Step = Drop | Sparsify | Quantise | Repair


@dataclass(frozen=True)
class Spec:
    """Pruning steps, applied from left to right."""

    steps: tuple[Step, ...] = ()

    def __str__(self) -> str:
        return "+".join(map(str, self.steps)) or DENSE

    @property
    def drops_only(self) -> bool:
        """Whether every step drops whole sublayers or blocks."""
        return all(isinstance(step, Drop) for step in self.steps)


def parse_spec(text: str | Spec) -> Spec:
    """Read a specification; ``str`` of the result gives the canonical text back.

    Raises
    ------
    SpecError
        One sentence with the offending part and the nearest valid forms.
    """
    if isinstance(text, Spec):
        return text
    if text.strip() == DENSE:
        return Spec()
    steps = tuple(_step(part.strip(), text) for part in text.split("+"))
    _check_repairs(steps, text)
    return Spec(steps)


def _check_repairs(steps: tuple[Step, ...], text: str) -> None:
    """One repair at most, after everything that is dropped."""
    places = [index for index, step in enumerate(steps) if isinstance(step, Repair)]
    drops = [index for index, step in enumerate(steps) if isinstance(step, Drop)]
    if places and (len(places) > 1 or not drops or drops[-1] > places[0]):
        raise SpecError(
            f"spec {text!r}: {str(steps[places[-1]])!r} repairs what was dropped before it, once, and "
            "nothing is dropped after it; for example 'attn:4+mlp:2+linear'"
        )


def _step(part: str, text: str) -> Step:
    body, layers = _restricted(part)
    name, _, argument = body.partition(":")
    try:
        example = lookup("pruning method", name, EXAMPLES)
    except UnknownNameError as error:
        raise SpecError(f"{error} (in spec {text!r}; for example 'attn:8', 'wanda:2:4', 'int8')") from None
    step: Step | None = None
    if name in METHODS:
        step = _sparsify(name, argument, layers)
    elif name.startswith("int"):
        step = None if argument else Quantise(int(name.removeprefix("int")), layers)
    elif layers is None and name in TARGETS:
        step = _drop(name, argument)
    elif layers is None and name in REPAIRS and not argument:
        step = Repair(lookup("repair", name, {one: one for one in REPAIRS}))
    if step is None or (layers is not None and len(set(layers)) < len(layers)):
        raise SpecError(
            f"spec {text!r}: {part!r} is not of a valid form; nearest valid forms: {_forms(name, example)}"
        )
    return step


def _restricted(part: str) -> tuple[str, tuple[int, ...] | None]:
    """A step and the layers that it is restricted to by ``@[...]``, if any."""
    found = re.fullmatch(rf"(.*)@{_LAYERS}", part)
    return (found[1], _indices(found[2])) if found else (part, None)


def _indices(text: str) -> tuple[int, ...]:
    return tuple(int(item) for item in text.split(","))


def _forms(name: str, example: str) -> str:
    if name == "random":
        return f"{example!r}"
    if name in TARGETS:
        listed = "" if name == "joint" else f", '{name}:[3,7]'"
        return f"{example!r}{listed}, " + ", ".join(f"'{name}:4@{c}'" for c in CRITERIA[1:])
    if name in METHODS:
        return f"'{name}:50%', {example!r}, '{name}:4:8', '{name}:50%@[3,7]'"
    return f"{example!r}, '{name}@[3,7]'" if name.startswith("int") else f"{example!r}"


def _drop(name: str, argument: str) -> Drop | None:
    target: Target = lookup("target", name, dict(zip(TARGETS, TARGETS, strict=True)))
    if listed := re.fullmatch(_LAYERS, argument):
        layers = _indices(listed[1])
        if target in ("joint", "random") or len(set(layers)) < len(layers):
            return None
        return Drop(target, len(layers), layers)
    counted = re.fullmatch(r"(\d+)(?:@(\w+))?", argument)
    if not counted or (counted[2] and (target == "random" or counted[2] not in CRITERIA)):
        return None
    criterion: Criterion = lookup("criterion", counted[2] or "cosine", {c: c for c in CRITERIA})
    return Drop(target, int(counted[1]), criterion=criterion)


def _sparsify(name: str, argument: str, layers: tuple[int, ...] | None) -> Sparsify | None:
    method: Method = lookup("method", name, dict(zip(METHODS, METHODS, strict=True)))
    if share := re.fullmatch(r"(\d+(?:\.\d+)?)%", argument):
        return Sparsify(method, Unstructured(float(share[1])), layers) if float(share[1]) <= 100 else None
    if group := re.fullmatch(r"(\d+):(\d+)", argument):
        n, m = int(group[1]), int(group[2])
        return Sparsify(method, NofM(n, m), layers) if 0 <= n <= m and m else None
    return None


def names_checkpoint(variant: str) -> bool:
    """Whether ``variant`` is a folder or hub id; what can be read as a spec is one (a folder: ``./int8``)."""
    try:
        parse_spec(variant)
    except (SpecError, UnknownNameError):
        return "/" in variant or expanded(variant).is_dir()
    return False
