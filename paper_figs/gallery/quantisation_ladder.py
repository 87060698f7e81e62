"""Ours: quantisations of one file with their own kernels: when does the text change, and when the score?"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure as Canvas

from paper_figs.context import Context, Setup
from paper_figs.figure import Claim, Finding, Whose, listed
from paper_figs.judging import decide, untested
from paper_figs.style import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILION, letter, panels
from real.engines.answers import answer_score, right_answers
from real.engines.engine import Engine
from real.engines.hugging_face import HuggingFaceEngine
from real.engines.mixed import Plan, kept_draw, kept_score, opened
from real.engines.quantise import AS_SHIPPED, LADDER
from real.forecast.recorded import forecast_records
from real.forecast.text_drift import default_prompts
from real.models.registry import SOURCES
from theory.sequences.betting import signed_band

SPECS = ("int8", "int4")
TASKS = ("past-tense", "capitals-answer")
PROMPTS_PER_KIND = 6
ITEMS_PER = 2  # questions of a task for one item of other figures
LOSS = 0.05  # of the score, that a reader cares about
FLOOR = "same file, llama.cpp"
COLOURS = (SKY, BLUE, GREEN, BLACK, ORANGE, VERMILION, PURPLE)
WORDS = {"written": "probability of the right answer", "greedy": "greedy answer right"}


def compute(context: Context) -> pd.DataFrame:
    """Part "text": drift by step and n. Part "score": change of two tasks' scores by step."""
    profile, dense = context.setup.profile, HuggingFaceEngine(context.lm)
    folder = context.folder / "records"
    prompts = default_prompts(PROMPTS_PER_KIND * profile.prompts_per_kind)
    source = kept_draw(dense, Plan(prompts, tokens=profile.sample_tokens, seed=context.setup.seed), folder)
    answers = {name: right_answers(dense, name, ITEMS_PER * profile.items) for name in TASKS}
    before = {name: answer_score(list(_scored(dense, texts))) for name, texts in answers.items()}
    rows: list[dict[str, Any]] = []
    for step in context.track(_steps(context.setup.model), "quantisations"):
        with opened(step, dense, context.setup.device) as engine:
            rows += _text_rows(step, forecast_records(source, kept_score(engine, source, folder)))
            for name, texts in answers.items():
                after = answer_score(list(_scored(engine, texts)))
                for way in WORDS:
                    was, now = getattr(before[name], way).double(), getattr(after, way).double()
                    band = signed_band((now - was).unsqueeze(1), 0.9)
                    rows.append(
                        {
                            "part": "score",
                            "step": _label(step),
                            "task": name,
                            "way": way,
                            "dense": float(was.mean()),
                            "change": float(band.mean),
                            "lower": float(band.lower),
                            "upper": float(band.upper),
                            "questions": len(now),
                        }
                    )
    return pd.DataFrame(rows)


def _steps(model: str) -> list[str]:
    """torchao's own, and llama.cpp's where the model is a GGUF file and the engine is installed."""
    has_file = model in SOURCES and SOURCES[model].sha256 is not None
    if not has_file or find_spec("ik_llama_cpp") is None:
        return list(SPECS)
    return [f"{model}@{AS_SHIPPED}", *(f"{model}@{step}" for step in LADDER), *SPECS]


def _label(step: str) -> str:
    _, at, quantisation = step.partition("@")
    return FLOOR if quantisation == AS_SHIPPED else quantisation if at else f"{step} (torchao)"


def _scored(engine: Engine, texts: Any) -> Any:
    from real.records.record import Decoding

    return engine.score(texts, Decoding(), 1)


def _text_rows(step: str, found: Any) -> list[dict[str, Any]]:
    shared = {
        "part": "text",
        "step": _label(step),
        "kl": found.kl_per_token.mean,
        "kl_lower": found.kl_per_token.lower,
        "kl_upper": found.kl_per_token.upper,
        "half_life": found.half_life.estimate,
        "prompts": found.prompts,
    }
    return [
        shared
        | {
            "n": n,
            "survival": float(found.survival.mean[place]),
            "survival_lower": float(found.survival.lower[place]),
            "survival_upper": float(found.survival.upper[place]),
            "tv": float(found.sequence_tv.mean[place]),
        }
        for place, n in enumerate(found.tokens.tolist())
    ]


def draw(frame: pd.DataFrame) -> Canvas:
    """KL per token, survival of exact agreement, change of the score; the noise floor is a line."""
    canvas, axes = panels(1, 3, height=2.5)
    first, middle, last = axes[0]
    text, score = frame[frame["part"] == "text"], frame[frame["part"] == "score"]
    steps = [step for step in text["step"].unique() if step != FLOOR]
    places = np.arange(len(steps))
    ends = text.groupby("step", sort=False).first()
    shown = ends.loc[steps]
    error = np.stack([shown["kl"] - shown["kl_lower"], shown["kl_upper"] - shown["kl"]]).clip(min=0)
    for place, (step, colour) in enumerate(zip(steps, COLOURS, strict=False)):
        first.errorbar(
            place, shown["kl"].iloc[place], yerr=error[:, [place]], fmt="o", color=colour, elinewidth=0.8
        )
        part = text[text["step"] == step]
        middle.plot(part["n"], part["survival"], color=colour)
    if FLOOR in ends.index:
        first.axhline(ends.loc[FLOOR, "kl"], color=GREY, ls="--", lw=0.8)
    first.set_yscale("log")
    first.set(ylabel="KL per token, nats", title="drift")
    floor = text[text["step"] == FLOOR]
    if len(floor):
        middle.plot(
            floor["n"], floor["survival"], color=GREY, ls="--", lw=0.8, label="two programs, same weights"
        )
    middle.axhline(0.5, color=BLACK, lw=0.4)
    middle.set(
        xlabel="tokens n",
        ylabel="share of texts still identical",
        ylim=(0, 1.02),
        title="text, colours as in (a)",
    )
    if len(floor):
        middle.legend(fontsize=6)
    for index, ((task, way), part) in enumerate(score.groupby(["task", "way"], sort=False)):
        part = part.set_index("step")
        values = part.loc[steps]
        shift = 0.18 * (index - 1.5)
        error = np.stack([values["change"] - values["lower"], values["upper"] - values["change"]]).clip(min=0)
        label = f"{task}, {'greedy' if way == 'greedy' else 'sampled'} ({part['dense'].iloc[0]:.2f})"
        colour = (BLUE, SKY, VERMILION, ORANGE)[index]
        last.errorbar(places + shift, values["change"], yerr=error, fmt=".", color=colour, label=label)
    last.axhline(0, color=BLACK, lw=0.6)
    last.set(ylabel="change of the score", title="score")
    low, high = last.get_ylim()
    last.set_ylim(low - 0.45 * (high - low), high)
    last.legend(fontsize=6, loc="lower left")
    for axis in (first, last):
        axis.set_xticks(places, steps, rotation=60, ha="right", fontsize=6)
    letter([first, middle, last])
    return canvas


def caption(frame: pd.DataFrame, setup: Setup) -> str:
    """What is shown."""
    text, score = (frame[frame["part"] == part] for part in ("text", "score"))
    prompts, questions = int(text["prompts"].iloc[0]), int(score["questions"].iloc[0])
    return (
        f"{setup.model}: dense text drawn in transformers at float32, read once by each quantisation with "
        "its own kernels (llama-quantize and llama.cpp; int8 and int4 by torchao). The shipped file is "
        "four-bit already, so the ladder says what a further quantisation adds. (a) KL(dense||quantised) "
        f"per token, {prompts} prompts, 90 % limits; dashed: the shipped file itself in llama.cpp, what two "
        "programs make of the same weights. (b) Share of texts of n tokens that stay identical under the "
        f"best coupling (G2). (c) Change of the score of {questions} questions with one right answer: its "
        "probability (one spelling, a lower bound of exact match, K1x) and whether greedy decoding writes "
        "it; 90 % betting bands."
    )


def _answer(frame: pd.DataFrame) -> str:
    """At which quantisation does my text change, and my score?"""
    text, score = (frame[frame["part"] == part] for part in ("text", "score"))
    last = text.groupby("step", sort=False).last().drop(index=FLOOR, errors="ignore")
    changed = last[last["survival"] < 0.5]
    lost = score[score["lower"].gt(-1) & score["upper"].lt(0)]["step"].unique()
    horizon = int(text["n"].max())
    which = "every step" if len(changed) == len(last) else ", ".join(changed.index) or "no step"
    scores = ", ".join(step for step in last.index if step in set(lost)) or "no step"
    floor = text[text["step"] == FLOOR]
    also = " (and between two programs with the same weights)" if (floor["survival"] < 0.5).any() else ""
    return (
        f"Within {horizon} tokens most texts change at {which}{also}; a score falls beyond doubt at {scores}"
    )


def _floor_below(frame: pd.DataFrame) -> Finding:
    text = frame[frame["part"] == "text"].groupby("step", sort=False).first()
    if FLOOR not in text.index:
        return untested("llama.cpp or a GGUF file of this model is absent")
    floor, rest = text.loc[FLOOR], text.drop(index=FLOOR)
    above = rest["kl_lower"] > floor["kl_upper"]
    below = rest["kl_upper"] < floor["kl_lower"]
    condition = True if above.all() else False if below.any() else None
    within = ", ".join(rest.index[~above]) or "none"
    return decide(condition, f"noise floor {floor['kl']:.4f} nats per token; not clearly above it: {within}")


def _text_before_score(frame: pd.DataFrame) -> Finding:
    text, score = (frame[frame["part"] == part] for part in ("text", "score"))
    last = text.groupby("step", sort=False).last().drop(index=FLOOR, errors="ignore")
    changed = [str(step) for step, row in last.iterrows() if row["survival_upper"] < 0.5]
    if not changed:
        return untested("at no step have most texts changed for certain")
    kept = [step for step in changed if (score[score["step"] == step]["lower"] > -LOSS).all()]
    unsure = [step for step in changed if (score[score["step"] == step]["upper"] >= -LOSS).all()]
    condition = True if kept else None if unsure else False
    return decide(
        condition,
        f"most texts change for certain at {', '.join(changed)}; of these every score keeps all but {LOSS:g} "
        f"for certain at {', '.join(kept) or 'none'}",
    )


CLAIMS = (
    Claim(
        "Every quantisation drifts more than two programs do that run the same weights.",
        "ours",
        "Holds if the lower limit of every step's KL is above the upper limit of the noise floor; does "
        "not hold if a step is below it beyond doubt.",
        _floor_below,
        Whose.OURS,
    ),
    Claim(
        "There is a quantisation at which most texts change and the scores do not.",
        "ours, G2 and K1",
        "Of the steps whose survival is below one half for certain: holds if at one of them every "
        f"score's lower limit is above −{LOSS:g}; does not hold if at each some score has lost more for "
        "certain.",
        _text_before_score,
        Whose.OURS,
        ("J1",),
    ),
)
FIGURE = listed("quantisation-ladder", compute, draw, caption, _answer, CLAIMS)
