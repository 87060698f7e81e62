"""How far a set of changes moves the model, on texts that the dense model wrote itself.

One teacher-forced pass of the layers from the lowest change on, and one head product per token. The
arithmetic is float32: it decides between sets; what is reported is forecast on other texts.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import torch
from torch import Tensor

from real.models.load import LanguageModel
from real.pruning.calibration import Calibration
from real.scores.forecast import read_source
from real.scores.routes import Route, route
from real.search.budget import Budget
from real.search.candidates import Candidate, changing
from real.structure.resume import Resume
from real.text.passes import head_logits
from real.text.sample import Samples, sample
from real.text.texts import openings
from theory import tv_terms

_HEAD_ROWS = 64  # positions of one head product
_GRAM_ROWS = 8 * _HEAD_ROWS  # the same of all candidates together


def default_texts() -> list[str]:
    """Openings of shipped calibration passages: no forecast and no task reads them."""
    return openings("calibration")


class Texts:
    """Dense texts, and what sets of candidates make of them."""

    def __init__(
        self,
        lm: LanguageModel,
        prompts: Sequence[str],
        tokens: int,
        budget: Budget,
        seed: int = 0,
        calibration: Calibration = None,
    ) -> None:
        self.lm, self.budget = lm, budget
        self.samples: Samples = sample(lm, prompts, tokens, seed=seed)
        steps = torch.arange(self.samples.horizon).expand(len(self.samples), -1)
        self.live = steps < (self.samples.lengths - self.samples.prompt_lengths).unsqueeze(1)
        self.row, self.step = self.live.nonzero(as_tuple=True)
        self._place = self.samples.prompt_lengths[self.row] - 1 + self.step
        self.drawn = self.samples.tokens[self.row, self._place + 1]
        self._changed = changing(lm, calibration, seed)
        self.resume = Resume(lm.anatomy, self.samples.tokens, self._changed)
        self.dense = self.states(())
        self._log_p: dict[int, Tensor] = {}
        self._route: Route | None = None
        if budget.task is not None:
            self._route = route(lm, read_source(budget.task), seed=seed)

    def states(self, chosen: Collection[Candidate]) -> Tensor:
        """Head inputs ``(M, d)`` at every generated token of the model changed by ``chosen``."""
        return self.resume.head_inputs(chosen)[self.row, self._place]

    def measure(self, chosen: Collection[Candidate]) -> float:
        """The drift of the model changed by ``chosen``, in the budget's own measure."""
        if not chosen:
            return 0.0
        if self._route is not None:
            return self._score_lost(self._route, chosen)
        return self.of_states(self.states(chosen))

    @property
    def reads_states(self) -> bool:
        """Whether the measure can be read off head inputs; a task's score needs passes of its own."""
        return self._route is None

    def of_states(self, states: Tensor) -> float:
        """KL or TV of a set, from its head inputs ``(M, d)``."""
        kl, ratio = torch.zeros(2, *self.live.shape, dtype=torch.float64)
        for start in range(0, len(states), _HEAD_ROWS):
            few = slice(start, start + _HEAD_ROWS)
            log_p = self._dense_log(start, few)
            log_q = head_logits(self.lm, states[few]).float().log_softmax(-1)
            drawn = self.drawn[few].to(log_q.device).unsqueeze(1)
            apart = log_p - log_q
            kl[self.row[few], self.step[few]] = (log_p.exp() * apart).sum(-1).double().cpu()
            ratio[self.row[few], self.step[few]] = -apart.gather(1, drawn)[:, 0].double().cpu()
        if self.budget.what == "tv":
            assert self.budget.tokens is not None
            return float(tv_terms(ratio)[:, min(self.budget.tokens, self.samples.horizon) - 1].mean())
        return float((kl.sum(1) / self.live.sum(1)).mean())

    def _dense_log(self, start: int, few: slice) -> Tensor:
        """Dense log-probabilities of a few tokens, kept: every set is compared with them."""
        if start not in self._log_p:
            self._log_p[start] = head_logits(self.lm, self.dense[few]).float().log_softmax(-1)
        return self._log_p[start]

    def _score_lost(self, task: Route, chosen: Collection[Candidate]) -> float:
        """1 - score after ``chosen`` / dense score, both of sampled answers; negative where it rose."""
        with self._changed(chosen):
            read = task.read(self.lm, 0, len(task.source.questions))
        evidence = task.evidence([read])["sampled"]
        before, after = evidence.before.mean, evidence.after.mean
        return 1 - after / before if before > 0 else 0.0

    def gram(self, states: Sequence[Tensor]) -> Tensor:
        """Mean over tokens of Cov_p of the logit changes that single changes make (D5), ``(k, k)``, float64.

        states: head inputs after each change by itself.
        """
        total = torch.zeros(len(states), len(states), dtype=torch.float64)
        few_rows = max(1, _GRAM_ROWS // len(states))
        for start in range(0, len(self.dense), few_rows):
            few = slice(start, start + few_rows)
            dense = head_logits(self.lm, self.dense[few]).float()
            p = dense.softmax(-1)
            stacked = torch.stack([one[few] for one in states])
            change = (
                head_logits(self.lm, stacked.flatten(0, 1)).float().reshape(len(states), *dense.shape) - dense
            )
            change = change - (p * change).sum(-1, keepdim=True)
            rooted = (change * p.sqrt()).flatten(1)
            total += (rooted @ rooted.T).double().cpu()
        return total / len(self.dense)
