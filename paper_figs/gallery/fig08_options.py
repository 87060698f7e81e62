"""Figure 8: multiple-choice steps, seen over the vocabulary and over the options."""

from __future__ import annotations

import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from paper_figs.context import Context, Setup
from paper_figs.figure import Claim, Finding, listed
from paper_figs.judging import graded, percent, untested
from paper_figs.limits import Limits, proportion
from paper_figs.measured import reference, scores
from paper_figs.measured.pruned import resolve
from paper_figs.measured.texts import calibration
from paper_figs.style import BLACK, GREY, VERMILION, letter, panels
from paper_figs.words import in_words
from real.pruning.apply import pruned
from real.tasks.multiple_choice import OptionItem, decision_hidden, option_items
from real.text.passes import head_logits
from theory import measure

SPEC = "attn:8"
SHOWN = 24  # questions whose options are drawn
COLOUR = {"dense": BLACK, "pruned": VERMILION}


def compute(context: Context) -> pd.DataFrame:
    """Parts "option" (one row for each option of each question) and "drift" (one for each question)."""
    limit = context.setup.profile.choice_items
    items = [item for name in scores.CHOICE for item in option_items(context.lm, [name])[:limit]]
    dense = _last_logits(context, items)
    with pruned(context.lm, resolve(context, SPEC), calibration(context)):
        other = _last_logits(context, items)
    rows = [row for index, item in enumerate(items) for row in _rows(index, item, dense[index], other[index])]
    ours = pd.DataFrame(rows).assign(source=context.setup.model)
    theirs = reference.options().assign(part="paper", question=-1)
    return pd.concat([ours, theirs], ignore_index=True)


def _rows(index: int, item: OptionItem, dense: torch.Tensor, other: torch.Tensor) -> list[dict[str, object]]:
    ids = torch.tensor(item.options)
    full, among = measure(dense, other), measure(dense, other, options=ids)
    p, q = (torch.softmax(z.double()[ids], 0).tolist() for z in (dense, other))
    head = {"question": index, "task": item.task, "answer": item.answer}
    drift = {"kl": float(full.kl), "kl_options": float(among.kl), "mass": float(among.option_mass)}
    options = [
        head | {"part": "option", "option_index": k, "dense": p[k], "pruned": q[k]} for k in range(len(p))
    ]
    return [*options, head | {"part": "drift"} | drift]


def _last_logits(context: Context, items: list[OptionItem]) -> torch.Tensor:
    """Logits ``(N, V)`` after each question."""
    return head_logits(context.lm, decision_hidden(context.lm, items))


def draw(frame: pd.DataFrame) -> Canvas:
    """(a) Each question's options, the right one filled; (b) KL over the vocabulary and among the options."""
    canvas, axes = panels(1, 2, height=2.8, gridspec_kw={"width_ratios": (2, 1)})
    options, drift = (frame[frame["part"] == part] for part in ("option", "drift"))
    _options(axes[0, 0], options)
    axes[0, 0].set_title(f"{options['source'].iloc[0]}: probability among the options")
    axis = axes[0, 1]
    values = drift[["kl", "kl_options"]].clip(lower=1e-6)
    axis.plot(values["kl"], values["kl_options"], "o", ms=3, mew=0, alpha=0.6, color=BLACK)
    ends = (values.min().min() / 2, 2 * values.max().max())
    axis.plot(ends, ends, color=GREY, lw=0.8)
    axis.set(xscale="log", yscale="log", xlim=ends, ylim=ends)
    axis.set_title("KL, nats: below the line, safer")
    axis.set(xlabel="over the vocabulary", ylabel="among the options")
    letter(axes[0].tolist())
    return canvas


def _options(axis: Axes, options: pd.DataFrame) -> None:
    shown = options[options["question"] < SHOWN]
    for model, shift in (("dense", -0.17), ("pruned", 0.17)):
        right = shown["option_index"] == shown["answer"]
        chosen = shown.loc[shown.groupby("question")[model].idxmax()]
        place = shown["question"] + shift
        axis.plot(place[~right], shown.loc[~right, model], "_", color=COLOUR[model], ms=4, alpha=0.7)
        axis.plot(
            *(place[right], shown.loc[right, model]), "o",
            color=COLOUR[model], ms=3.5, label=f"{model}: right option",
        )  # fmt: skip
        axis.plot(
            *(chosen["question"] + shift, chosen[model]), "o",
            mfc="none", mec=COLOUR[model], ms=7, mew=0.6, label="ring: the one it chooses",
        )  # fmt: skip
    axis.set(xlabel="question (dashes: other options)", ylabel="probability", ylim=(-0.03, 1.05))
    axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2, fontsize=6)


def caption(frame: pd.DataFrame, setup: Setup) -> str:
    """What is shown and how it differs from the paper's figure."""
    drift, paper = (frame[frame["part"] == part] for part in ("drift", "paper"))
    listed = ", ".join(f"{row.option} {row.baseline:.1f}/{row.pruned:.1f}" for row in paper.itertuples())
    return (
        f"Dense model and {SPEC} at the step that answers each of {len(drift)} multiple-choice questions "
        f"({' and '.join(scores.WORDS[task] for task in scores.CHOICE)}; first differing token of each "
        "option). "
        f"(a) The first {SHOWN} questions, softmax over the options. (b) KL(p||q) over the vocabulary and "
        f"among the options, which hold {drift['mass'].min():.0%} to {drift['mass'].max():.0%} of the dense "
        "model's "
        "mass. The paper shows one question on Qwen2.5-7B-Instruct, whose options hold almost no mass; its "
        f"log-likelihoods, dense/pruned: {listed}."
    )


def _safer(frame: pd.DataFrame) -> Limits:
    drift = frame[frame["part"] == "drift"]
    return proportion(int((drift["kl_options"] < drift["kl"]).sum()), len(drift))


def _kept(frame: pd.DataFrame) -> tuple[Limits, Limits]:
    """Share of questions in which the choice stays: all of them, and those that the dense model had right."""
    options = frame[frame["part"] == "option"]
    best = {
        model: options.loc[options.groupby("question")[model].idxmax()].set_index("question")["option_index"]
        for model in COLOUR
    }
    same = best["dense"] == best["pruned"]
    right = best["dense"] == options.groupby("question")["answer"].first()
    found = proportion(int(same.sum()), len(same))
    return found, proportion(int(same[right].sum()), int(right.sum())) if right.any() else Limits(0, 0, 1)


def _options_safer(frame: pd.DataFrame) -> Finding:
    part, drift = _safer(frame), frame[frame["part"] == "drift"]
    middle = drift[["kl_options", "kl"]].median()
    return graded(
        part,
        f"KL among the options smaller in {percent(part)} of {len(drift)} questions; medians "
        f"{middle.iloc[0]:.2g} against {middle.iloc[1]:.2g} nats",
    )


def _choice_kept(frame: pd.DataFrame) -> Finding:
    options = frame[frame["part"] == "option"]
    first = options.loc[options.groupby("question")["dense"].idxmax(), "option_index"]
    if first.nunique() == 1:
        return untested(f"the dense model answers option {int(first.iloc[0]) + 1} to every question")
    every, right = _kept(frame)
    return graded(
        every, f"choice kept in {percent(every)} of questions, in {percent(right)} of those it had right"
    )


def _takeaway(frame: pd.DataFrame) -> str:
    every, right = _kept(frame)
    return (
        f"{in_words(SPEC)}: the chosen option is kept in {every.value:.0%} of questions ({right.value:.0%} "
        f"of those answered right); the options move less than the vocabulary in {_safer(frame).value:.0%}"
    )


CLAIMS = (
    Claim(
        "The distribution among the options is more stable than that over the vocabulary.",
        "paper, figure 8",
        "KL among the options below KL over the vocabulary: holds from 90 % of questions, partly from "
        "50 % (it is no theorem: H1 needs the factor 1/p(S)).",
        _options_safer,
        theorems=("H1",),
    ),
    Claim(
        "The chosen option survives.",
        "paper, figure 8b",
        "Share of questions in which the most likely option stays: holds from 90 %, partly from 50 %; not "
        "tested if the dense model always answers the same.",
        _choice_kept,
        theorems=("H2",),
    ),
)
FIGURE = listed("fig08", compute, draw, caption, _takeaway, CLAIMS)
