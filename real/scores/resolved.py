"""The probability of a right answer and whether greedy decoding gives it, without letting a model write (K1).

One teacher-forced pass over right answers and their alive alternatives settles every text that leaves them:
what is neither won nor lost is the sum of the alive tokens that were not followed. Rows are added through
the most probable of these until it is below a stated mass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from real.models.load import LanguageModel
from real.scores.tree import Node, Path, Tree
from real.text.continuations import generated_hidden
from real.text.passes import head_logits
from real.text.sample import pack
from theory.terminal.console import track

RIGHT, WRONG, UNDECIDED = 1, 0, -1
MASS = 0.005  # of one question; on average over questions far less is left
ROWS = 8
_HEAD_ROWS = 32  # nodes of one head product


@dataclass(frozen=True)
class Law:
    """One model's next token at a node: probabilities of winning and of losing at once, of every alive token
    ``(a,)``, and its most probable token."""

    won: float
    lost: float
    alive: Tensor
    top: int


@dataclass(frozen=True)
class Resolved:
    """What is known of every question, float64 ``(questions,)``; the three sum to 1.

    won, lost: probability of texts known to be right and wrong. unresolved: of all others, as a sum of
    nonnegative terms. So the score, the probability of a right answer, lies in [won, won + unresolved].
    greedy: int64, RIGHT, WRONG or UNDECIDED. rows: texts that were read. trees: what was looked at.
    """

    won: Tensor
    lost: Tensor
    unresolved: Tensor
    greedy: Tensor
    rows: int
    trees: tuple[Tree, ...]

    @property
    def upper(self) -> Tensor:
        """Upper end of the score."""
        return self.won + self.unresolved


def resolve(
    lm: LanguageModel,
    trees: Sequence[Tree],
    *,
    temperature: float = 1.0,
    mass: float = MASS,
    rows: int = ROWS,
) -> Resolved:
    """Read the trees with ``lm`` and let copies of them grow until it is clear what ``lm`` would answer.

    A tree grows until less than ``mass`` is unresolved and greedy decoding is decided, or until ``rows``
    rows were added to it. Start a variant from the dense model's ``trees``: most of it is settled there.

    Raises
    ------
    ValueError
        No tree is given, or ``temperature`` is not positive.
    """
    if not trees:
        raise ValueError("trees are empty: give at least one question")
    if not temperature > 0:
        raise ValueError(f"temperature must be positive (greedy is decided anyway), got {temperature}")
    grown = tuple(tree.copy() for tree in trees)
    laws: list[dict[Path, Law]] = [{} for _ in grown]
    pending = [tree.leaves() for tree in grown]
    added = [0] * len(grown)
    count = 0
    while any(pending):
        count += sum(map(len, pending))
        _measure(lm, grown, pending, laws, temperature)
        for index, tree in enumerate(grown):
            pending[index] = _grow(tree, laws[index], mass, rows - added[index])
            added[index] += len(pending[index])
    sums = [_sums(tree, law) for tree, law in zip(grown, laws, strict=True)]
    won, lost, unresolved = torch.tensor(sums, dtype=torch.float64).T
    greedy = torch.tensor([_greedy(tree, law)[0] for tree, law in zip(grown, laws, strict=True)])
    return Resolved(won, lost, unresolved, greedy, count, grown)


def change(dense: Resolved, other: Resolved) -> tuple[Tensor, Tensor]:
    """Ends of the change of every question's score, float64 ``(questions,)``."""
    return other.won - dense.upper, other.upper - dense.won


def _measure(
    lm: LanguageModel,
    trees: Sequence[Tree],
    rows: Sequence[Sequence[Path]],
    laws: list[dict[Path, Law]],
    temperature: float,
) -> None:
    """Add the laws of all nodes on the given rows: one pass."""
    prompts = [(index, list(trees[index].question.prompt)) for index, some in enumerate(rows) for _ in some]
    paths = [path for some in rows for path in some]
    # Every row needs the law after its last token too, so a token that nobody looks at follows.
    samples = pack(lm, prompts, [[*path, 0] for path in paths], temperature, seed=0)
    hidden, row, step = generated_hidden(lm, samples)
    wanted: dict[tuple[int, Path], int] = {}
    for position, (one, depth) in enumerate(zip(row.tolist(), step.tolist(), strict=True)):
        key = prompts[one][0], paths[one][:depth]
        if key[1] not in laws[key[0]]:
            wanted.setdefault(key, position)
    for few in track(list(torch.split(torch.arange(len(wanted)), _HEAD_ROWS)), "reading answers"):
        keys = list(wanted)[int(few[0]) : int(few[-1]) + 1]
        logits = head_logits(lm, hidden[[wanted[key] for key in keys]])
        probability = torch.softmax(logits.double() / temperature, -1)
        for (index, path), row_law in zip(keys, probability.cpu(), strict=True):
            laws[index][path] = _law(trees[index].nodes[path], row_law)


def _law(node: Node, probability: Tensor) -> Law:
    won, alive = probability[node.won], probability[node.alive]
    top = int(probability.argmax())
    probability[node.won] = 0
    probability[node.alive] = 0
    return Law(float(won.sum()), float(probability.sum()), alive, top)


def _masses(tree: Tree, laws: dict[Path, Law]) -> tuple[dict[Path, float], dict[Path, float]]:
    """Probability of every node, and of every alive child that is none."""
    nodes: dict[Path, float] = {(): 1.0}
    open_ends: dict[Path, float] = {}
    for path in sorted(tree.nodes, key=len):
        for token, chance in zip(tree.nodes[path].alive.tolist(), laws[path].alive.tolist(), strict=True):
            child = (*path, token)
            (nodes if child in tree.nodes else open_ends)[child] = nodes[path] * chance
    return nodes, open_ends


def _sums(tree: Tree, laws: dict[Path, Law]) -> tuple[float, float, float]:
    nodes, open_ends = _masses(tree, laws)
    won = sum(mass * laws[path].won for path, mass in nodes.items())
    lost = sum(mass * laws[path].lost for path, mass in nodes.items())
    return won, lost, sum(open_ends.values())


def _greedy(tree: Tree, laws: dict[Path, Law]) -> tuple[int, Path]:
    """What greedy decoding comes to, and the text with which it leaves the tree."""
    path: Path = ()
    while path in tree.nodes:
        node, top = tree.nodes[path], laws[path].top
        path = (*path, top)
        if top in node.won:
            return RIGHT, path
        if top not in node.alive:
            return WRONG, path
    return UNDECIDED, path


def _grow(tree: Tree, laws: dict[Path, Law], mass: float, budget: int) -> list[Path]:
    """Add rows through the open ends that matter; returns the new rows."""
    _, open_ends = _masses(tree, laws)
    verdict, path = _greedy(tree, laws)
    first = [path] if verdict == UNDECIDED else []
    rest = sorted((end for end in open_ends if end not in first), key=lambda end: -open_ends[end])
    missing = sum(open_ends.values())
    chosen: list[Path] = []
    for end in first + rest:
        if len(chosen) >= budget or (missing <= mass and end not in first):
            break
        chosen.append(end)
        missing -= open_ends[end]
    before = set(tree.nodes)
    rows = [tree.add_answer_through(end) for end in chosen]
    return [leaf for leaf in tree.leaves() if leaf not in before] if rows else []
