"""Figure 8: one multiple-choice step, seen over the vocabulary and over the options."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from paper_figs.context import Context, Setup
from paper_figs.figure import Claim, Figure, Finding, graded
from paper_figs.judging import count_passed
from paper_figs.measured import reference
from paper_figs.measured.pruned import resolve
from paper_figs.measured.texts import calibration
from paper_figs.style import BLACK, VERMILION, letter
from real.pruning.apply import pruned
from real.text.passes import final_hidden, head_logits
from real.text.prompting import encode_prompt
from real.text.texts import prompts
from theory import measure

SPEC = "attn:8"
LETTERS = "ABCD"
TOP = 12


def compute(context: Context) -> pd.DataFrame:
    """Rows of three parts for each prompt: "token" (the top ones), "option" (A to D), "drift" (one row)."""
    lm, questions = context.lm, [p for p in prompts() if p.kind == "multiple choice"]
    tokens = [encode_prompt(lm, question.text) for question in questions]
    dense = _last_logits(context, tokens)
    with pruned(lm, resolve(context, SPEC), calibration(context)):
        other = _last_logits(context, tokens)
    ids = [lm.tokenizer(name, add_special_tokens=False).input_ids[-1] for name in LETTERS]
    full, among = measure(dense, other), measure(dense, other, options=torch.tensor(ids))
    log_p, log_q = (torch.log_softmax(z.double(), -1) for z in (dense, other))
    rows = []
    for index, question in enumerate(questions):
        top = log_p[index].topk(TOP).indices.tolist()
        for part, chosen, names in (("token", top, map(lm.tokenizer.decode, top)), ("option", ids, LETTERS)):
            for rank, (token, name) in enumerate(zip(chosen, names, strict=True)):
                rows.append(
                    {
                        "part": part,
                        "rank": rank,
                        "name": name,
                        "baseline": float(log_p[index, token]),
                        "pruned": float(log_q[index, token]),
                    }
                    | {"prompt": index, "answer": question.answer}
                )
        rows.append(
            {
                "part": "drift",
                "prompt": index,
                "answer": question.answer,
                "kl": float(full.kl[index]),
                "cosdist_p": float(full.cosdist_p[index]),
            }
            | {"kl_options": float(among.kl[index]), "cosdist_options": float(among.cosdist_p[index])}
            | {
                "mass": float(among.option_mass[index]),
                "mass_pruned": float(among.option_mass_perturbed[index]),
            }
        )
    ours = pd.DataFrame(rows).assign(source=context.setup.model)
    theirs = reference.options().rename(columns={"option": "name"}).assign(part="option", prompt=-1)
    return pd.concat([ours, theirs], ignore_index=True)


def _last_logits(context: Context, prompts: list[list[int]]) -> torch.Tensor:
    """Logits ``(N, V)`` after each prompt."""
    states = [final_hidden(context.lm, torch.tensor([ids]))[0, -1] for ids in prompts]
    return head_logits(context.lm, torch.stack(states))


def draw(frame: pd.DataFrame) -> Canvas:
    """(a) the dense model's top tokens of the first prompt; then every prompt's options, and the paper's."""
    ours = frame[frame["source"] == frame["source"].iloc[0]]
    questions = sorted(ours["prompt"].unique())
    canvas = Canvas(figsize=(7.0, 4.2), layout="constrained")
    grid = canvas.add_gridspec(2, len(questions) + 1)
    top = canvas.add_subplot(grid[0, :])
    tokens = ours[(ours["part"] == "token") & (ours["prompt"] == questions[0])]
    _bars(
        top,
        [repr(name)[1:-1] for name in tokens["name"]],
        np.exp(tokens["baseline"]),
        np.exp(tokens["pruned"]),
    )
    top.set(title=f"top tokens after the first question, {ours['source'].iloc[0]}", ylabel="probability")
    top.legend(loc="upper right")
    axes = [top]
    for column, prompt in enumerate([*questions, -1]):
        axis = canvas.add_subplot(grid[1, column])
        part = frame[(frame["part"] == "option") & (frame["prompt"] == prompt)]
        _bars(axis, part["name"].tolist(), part["baseline"], part["pruned"])
        axis.set_title("paper" if prompt < 0 else f"no. {prompt + 1}: {part['answer'].iloc[0]} right")
        axis.title.set_fontsize(7)
        if column == 0:
            axis.set_ylabel("log-likelihood")
        axes.append(axis)
    letter(axes)
    return canvas


def _bars(axis: Axes, names: list[str], baseline: pd.Series, other: pd.Series) -> None:
    place = np.arange(len(names))
    axis.bar(place - 0.2, baseline, 0.4, color=BLACK, label="dense")
    axis.bar(place + 0.2, other, 0.4, color=VERMILION, label=SPEC)
    axis.set_xticks(place, names, fontsize=6)
    axis.grid(axis="x", visible=False)


def caption(frame: pd.DataFrame, setup: Setup) -> str:
    """What is shown and how it differs from the paper's figure."""
    drift = frame[frame["part"] == "drift"]
    return (
        f"Dense model and {SPEC} after each of our {len(drift)} multiple-choice questions, in the chat "
        "template with an answer cue (answer with one letter). (a) Probabilities of the dense model's most "
        f"probable tokens. Then: log-likelihoods of A to D; the four options hold {drift['mass'].min():.0%} "
        f"to {drift['mass'].max():.0%} of the dense model's mass. The paper shows one question on "
        "Qwen2.5-7B-Instruct without template or cue, scored on lower-case a to d after a space, whose "
        "options hold almost no mass; its log-likelihoods are in the last panel."
    )


def _options_safer(frame: pd.DataFrame) -> Finding:
    drift = frame[frame["part"] == "drift"]
    share = float((drift["kl_options"] < drift["kl"]).mean())
    pairs = ", ".join(f"{a:.2g} vs {b:.2g}" for a, b in zip(drift["kl_options"], drift["kl"], strict=True))
    return Finding(graded(share), f"KL among the options vs over the vocabulary: {pairs} nats")


def _choice_kept(frame: pd.DataFrame) -> Finding:
    ours = frame[(frame["part"] == "option") & (frame["prompt"] >= 0)]
    best = [
        str(part["name"].iloc[int(part[model].to_numpy().argmax())])
        for _, part in ours.groupby("prompt")
        for model in ("baseline", "pruned")
    ]
    answers = ours.groupby("prompt")["answer"].first().tolist()
    dense, other = best[0::2], best[1::2]
    kept = [a == b for a, b in zip(dense, other, strict=True)]
    right = [sum(a == b for a, b in zip(found, answers, strict=True)) for found in (dense, other)]
    return count_passed(
        kept,
        f"choice kept in {sum(kept)} of {len(kept)}; right: dense {right[0]}, {SPEC} {right[1]} of "
        f"{len(kept)}",
    )


FIGURE = Figure(
    id="fig08",
    title="A multiple-choice step: the vocabulary and the options",
    compute=compute,
    draw=draw,
    caption=caption,
    claims=(
        Claim(
            "The distribution among the options is more stable than that over the vocabulary.",
            "paper, figure 8",
            "KL among the options below KL over the vocabulary: holds from 90 % of questions, partly from "
            "50 % (it is no theorem: H1 needs the factor 1/p(S)).",
            _options_safer,
        ),
        Claim(
            "The chosen option survives.",
            "paper, figure 8b",
            "The most likely option is the same in every question: holds; in some: partly.",
            _choice_kept,
        ),
    ),
)
