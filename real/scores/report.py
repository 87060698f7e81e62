"""Verdicts on scores as an object: a table, a line per verdict, a page in a notebook."""

from __future__ import annotations

import html
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

import pandas as pd
import torch

from real.pruning.calibration import spread
from real.scores.routes import Decoding
from real.scores.verdict import Explanation, Interval, Outcome, Verdict
from theory.outside import drawn
from theory.sequences.verdicts import e_bh, fixed_sequence

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Many = Literal["e-bh", "ladder", "each"]
About = Literal["these", "like"]
_SHOWN = 2  # decimals
_EXACT = 1e-9  # narrower limits are one number


@dataclass(frozen=True)
class ScoreVerdict:
    """What happens to the score of one task in one variant, for one way of decoding.

    before, after: the score of the dense model and of the variant on these prompts. these, like: the verdicts
    on the listed questions and on prompts like them. log_evidence: log of an e-value against "the loss on
    prompts like these is at least epsilon". noise: what evaluating the dense model in two ways moves its
    score by (K10), measured in half precision; the limits of both verdicts are wider by it. explanation: of
    sampled texts. after_calibrations: the score of the variant on three calibration texts, this one's first,
    where another text gives another model (masks found layer by layer); else empty.
    """

    task: str
    spec: str
    decoding: Decoding
    prompts: int
    before: Interval
    after: Interval
    these: Verdict
    like: Verdict
    log_evidence: float
    noise: float = 0.0
    explanation: Explanation | None = None
    after_calibrations: tuple[float, ...] = ()

    def about(self, what: About) -> Verdict:
        """The verdict on these prompts, or on prompts like these."""
        return self.these if what == "these" else self.like


@dataclass(frozen=True)
class ScoreReport:
    """All verdicts of one forecast, in the order task, spec, decoding.

    epsilon: the loss that is called safe at most and a failure at least. alpha: probability with which each
    limit about prompts like these may be wrong. many: how several "safe" are held together. seconds: of the
    passes of each spec, pruning left out.
    """

    model: str
    epsilon: float
    alpha: float
    many: Many
    verdicts: tuple[ScoreVerdict, ...]
    seconds: dict[str, float]

    def frame(self) -> pd.DataFrame:
        """One row per task, spec and decoding; losses with limits for these and like prompts.

        after_least, after_most: over three calibration texts, for specs whose masks are found layer by layer;
        else NaN.
        """
        rows = []
        for one in self.verdicts:
            row: dict[str, object] = {"task": one.task, "spec": one.spec, "decoding": one.decoding}
            row |= {"prompts": one.prompts, "before": one.before.mean, "after": one.after.mean}
            row |= spread("after", one.after_calibrations) | {"noise": one.noise}
            for name, verdict in (("these", one.these), ("like", one.like)):
                row |= {
                    f"{name}_verdict": verdict.outcome.value,
                    f"{name}_loss": verdict.loss.mean,
                    f"{name}_loss_lower": verdict.loss.lower,
                    f"{name}_loss_upper": verdict.loss.upper,
                    f"{name}_more_prompts": verdict.more,
                }
            rows.append(row | (asdict(one.explanation) if one.explanation else {}))
        frame = pd.DataFrame(rows)
        columns = [column for column in frame if str(column).endswith("_more_prompts")]
        return frame.astype(dict.fromkeys(columns, "Int64"))

    def together(self, decoding: Decoding = "greedy") -> tuple[ScoreVerdict, ...]:
        """Which "safe" about prompts like these stand together, though they were many (K11).

        "e-bh": among them the expected share of wrong ones is at most alpha, however they depend on each
        other. "ladder": for specs named from mild to strong, those before the first of a task that is not
        safe; some wrong one with probability at most alpha in each task. "each": every one by itself.
        """
        asked = self._asked(decoding)
        if self.many == "e-bh":
            kept = e_bh(torch.tensor([one.log_evidence for one in asked]), self.alpha).tolist()
            return tuple(one for one, keep in zip(asked, kept, strict=True) if keep)
        if self.many == "each":
            return tuple(one for one in asked if one.like.outcome is Outcome.SAFE)
        found: list[ScoreVerdict] = []
        for task in dict.fromkeys(one.task for one in asked):
            rungs = [one for one in asked if one.task == task]
            found += rungs[: fixed_sequence(torch.tensor([one.log_evidence for one in rungs]), self.alpha)]
        return tuple(found)

    def outcome(self, decoding: Decoding = "greedy", about: About = "like") -> Outcome:
        """The worst: fails if one verdict fails, else undecided if one is undecided, else safe.

        Where all are safe, all are safe together, whatever ``many`` says.
        """
        found = {one.about(about).outcome for one in self._asked(decoding)}
        worst = (Outcome.FAILS, Outcome.UNDECIDED)
        return next((outcome for outcome in worst if outcome in found), Outcome.SAFE)

    def _asked(self, decoding: Decoding) -> list[ScoreVerdict]:
        """Verdicts of one way of decoding; of the other where a scorer knows sampled texts alone."""
        return [one for one in self.verdicts if one.decoding == decoding] or list(self.verdicts)

    def table(self) -> pd.DataFrame:
        """What a reader wants: words and the loss behind them."""
        return pd.DataFrame(
            {
                "task": one.task,
                "spec": one.spec,
                "decoding": one.decoding,
                "score": f"{one.before.mean:.3f} → {one.after.mean:.3f}",
                "these prompts": in_words(one.these),
                "prompts like these": in_words(one.like),
            }
            for one in self.verdicts
        )

    def plot(self) -> Figure:
        """Draw the loss of every verdict on prompts like these, with its limits, beside epsilon."""
        from matplotlib.figure import Figure as Canvas

        colours = {Outcome.SAFE: "#009E73", Outcome.UNDECIDED: "#E69F00", Outcome.FAILS: "#D55E00"}
        canvas = Canvas(figsize=(6, 1 + 0.25 * len(self.verdicts)), layout="constrained")
        axis = canvas.subplots()
        for place, one in enumerate(self.verdicts):
            loss, colour = one.like.loss, colours[one.like.outcome]
            axis.plot([loss.lower, loss.upper], [place, place], color=colour)
            axis.plot(loss.mean, place, "o", color=colour)
        axis.axvline(self.epsilon, color="black", ls=":")
        axis.set_yticks(
            range(len(self.verdicts)),
            [drawn(f"{one.task}, {one.spec}, {one.decoding}") for one in self.verdicts],
        )
        axis.invert_yaxis()
        axis.set(title=drawn(f"{self.model}: prompts like these"), xlabel="loss of the score")
        return canvas

    def __repr__(self) -> str:
        counts = {outcome: 0 for outcome in Outcome}
        for one in self.verdicts:
            counts[one.like.outcome] += 1
        words = ", ".join(f"{count} {outcome.value}" for outcome, count in counts.items() if count)
        return f"<ScoreReport of {self.model}: {words} (loss {self.epsilon:g}, prompts like these)>"

    def _repr_html_(self) -> str:
        caption = f"{html.escape(self.model)}: how much of the score is lost (safe: at most {self.epsilon:g})"
        styled: str = (
            self.table().style.hide(axis="index").format(escape="html").set_caption(caption).to_html()
        )
        return styled


def in_words(verdict: Verdict) -> str:
    """For example ``undecided, loss 0.08 (0.03 to 0.14): about 60 more prompts``."""
    loss = verdict.loss
    mean, lower, upper = (f"{value:z.{_SHOWN}f}" for value in (loss.mean, loss.lower, loss.upper))
    limits = f" ({lower} to {upper})" if lower != upper and loss.upper - loss.lower > _EXACT else ""
    text = f"{verdict.outcome.value}, loss {mean}{limits}"
    if verdict.outcome is Outcome.UNDECIDED and verdict.more:
        text += f": about {verdict.more} more prompts"
    return text
