"""The unfinished texts of one question whose every next token is looked at (K1).

A node is a text that can still become right. Each of its next tokens makes the text right whatever follows
(won), wrong whatever follows (dead) or leaves it open (alive); an alive token may be a node in turn. Several
tokenisations of one answer are several paths, so the event is the *string*, not its usual spelling.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from real.models.load import LanguageModel
from real.scores.accepted import Accepted
from real.scores.spelling import Spelling, spelling
from real.tasks.source import TaskSource

Path = tuple[int, ...]


@dataclass(frozen=True)
class Question:
    """prompt: token ids. lead: what usually follows it before the answer. horizon: most tokens written."""

    prompt: tuple[int, ...]
    accepted: Accepted
    horizon: int
    lead: str = " "


@dataclass(frozen=True)
class Node:
    """An unfinished text, and the ids of the next tokens that win, int64 ``(w,)``, or stay alive ``(a,)``."""

    text: bytes
    won: Tensor
    alive: Tensor


@dataclass
class Tree:
    """Nodes by the tokens that lead to them; the root ``()`` is the empty answer.

    Raises
    ------
    SpellingError
        An accepted answer cannot be written with the tokens of this vocabulary.
    ValueError
        The horizon is shorter than every accepted answer.
    """

    question: Question
    spelling: Spelling
    tokenizer: PreTrainedTokenizerBase
    nodes: dict[Path, Node] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.nodes:
            return
        accepted, horizon = self.question.accepted, self.question.horizon
        if horizon < 1:
            raise ValueError(f"the horizon must be at least 1 token, got {horizon}")
        shortest = [len(self.spelling.spell(answer.encode())) for answer in accepted.answers]
        if shortest and min(shortest) > horizon:
            raise ValueError(
                f"the answer {accepted.answers[0]!r} needs {min(shortest)} tokens, more than the {horizon} "
                "that may be written"
            )
        self.add(())
        for answer in accepted.answers:
            text = self.question.lead + answer + (accepted.stops[-1] if accepted.stops else "")
            self.add(self._spelled(text.encode()))

    def copy(self) -> Tree:
        """A tree that grows by itself."""
        return Tree(self.question, self.spelling, self.tokenizer, dict(self.nodes))

    def add(self, path: Path) -> None:
        """Make a node of every alive beginning of ``path``."""
        for end in range(min(len(path) + 1, self.question.horizon)):
            if end and int(path[end - 1]) not in self.nodes[path[: end - 1]].alive:
                return
            if path[:end] not in self.nodes:
                self.nodes[path[:end]] = self._node(path[:end])

    def add_answer_through(self, path: Path) -> Path:
        """Add ``path`` and, if a string says how to go on, the rest of a right answer; returns the whole."""
        text = self._text(path)
        rest = self.question.accepted.rest(text)
        whole = path + (self._spelled(rest.encode()) if rest else ())
        self.add(whole)
        return whole

    def leaves(self) -> list[Path]:
        """Nodes that no other node continues: rows through them pass through every node."""
        inner = {path[:-1] for path in self.nodes if path}
        return [path for path in self.nodes if path not in inner]

    def _node(self, path: Path) -> Node:
        accepted, text = self.question.accepted, self._text(path)
        won, alive = self.spelling.split(text, accepted.status)
        alive += self.spelling.silent
        if len(path) + 1 == self.question.horizon:  # nothing follows the next token
            won += [v for v in alive if accepted.is_right(text + self.spelling.pieces[v])]
            alive = []
        if accepted.is_right(text):
            won += self.spelling.ends
        return Node(text, torch.tensor(won, dtype=torch.long), torch.tensor(alive, dtype=torch.long))

    def _text(self, path: Path) -> bytes:
        return b"".join(self.spelling.pieces[token] for token in path)

    def _spelled(self, text: bytes) -> Path:
        """The tokenizer's own tokens where they write exactly ``text``, else any that do."""
        usual = tuple(self.tokenizer(text.decode(), add_special_tokens=False).input_ids)
        return usual if self._text(usual) == text else tuple(self.spelling.spell(text))


def trees(lm: LanguageModel, source: TaskSource) -> list[Tree]:
    """One tree for every question of a task that asks for text.

    Raises
    ------
    ValueError
        A question has no answer, none that can be written, or asks for a choice.
    """
    spelled, found = spelling(lm), []
    for index, (one, prompt) in enumerate(zip(source.questions, source.prompts(lm), strict=True)):
        try:
            accepted = Accepted(one.answers, source.stops, one.pattern)
            found.append(Tree(Question(prompt, accepted, source.horizon, source.lead), spelled, lm.tokenizer))
        except ValueError as error:
            raise type(error)(f"task {source.name!r}, question {index + 1}: {error}") from None
    return found
