"""Table 2: what the models write."""

from __future__ import annotations

import textwrap
from functools import partial
from itertools import pairwise

import pandas as pd
from matplotlib.figure import Figure as Canvas

from paper_figs.context import Context, Setup
from paper_figs.figure import Claim, Figure, Finding
from paper_figs.judging import count_passed
from paper_figs.limits import Limits, geometric
from paper_figs.measured import pruned, texts
from paper_figs.style import PAGE
from real.pruning.variants import variant
from real.text.sample import sample
from real.text.texts import prompts

SPECS = ("dense", "attn:4", "mlp:4", "attn:8", "mlp:8")
LINE = 108  # characters of a text that fit the page
SOUND, RUINED = 0.9, 0.75  # share of new token pairs, over the dense model's
LINES = 5  # lines of a text that are shown


def compute_outputs(context: Context) -> pd.DataFrame:
    """Greedy answers of every model to every word problem."""
    lm, problems = context.lm, [p for p in prompts() if p.kind == "word problem"]
    length = context.setup.profile.answer_tokens
    rows = []
    for spec in context.track(SPECS, "answers"):
        with variant(lm, pruned.resolve(context, spec), texts.calibration(context)) as model:
            found = sample(model, [p.text for p in problems], length, temperature=0.0)
            for row, problem in enumerate(problems):
                tokens = found.continuation(row).tolist()
                text = lm.tokenizer.decode(tokens, skip_special_tokens=True)
                rows.append(
                    {
                        "spec": spec,
                        "prompt": problem.text,
                        "answer": problem.answer,
                        "text": text,
                        "tokens": len(tokens),
                        "right": str(problem.answer) in text,
                        "distinct": _distinct_pairs(tokens),
                    }
                )
    return pd.DataFrame(rows)


def _distinct_pairs(tokens: list[int]) -> float:
    """Share of neighbouring token pairs that are new: near 0 in a loop."""
    pairs = list(pairwise(tokens))
    return len(set(pairs)) / max(len(pairs), 1)


def _page(blocks: list[tuple[str, str]], heading: str) -> Canvas:
    """Blocks of a bold name and wrapped text, one below the other."""
    wrapped = [(name, textwrap.wrap(text, LINE)[:LINES] or ["(nothing)"]) for name, text in blocks]
    rows = sum(len(lines) + 0.6 for _, lines in wrapped) + 1.8
    canvas = Canvas(figsize=(PAGE, 0.135 * rows + 0.1))
    place = 1.0
    canvas.text(0.01, 1 - place / rows, heading, fontsize=7, style="italic", va="center")
    place += 1.2
    for name, lines in wrapped:
        canvas.text(0.01, 1 - place / rows, name, fontsize=7, weight="bold", va="center")
        for line in lines:
            # A dollar sign in a model's text is a dollar sign, not mathematics.
            line = "".join(letter if letter.isprintable() else "�" for letter in line)
            canvas.text(0.13, 1 - place / rows, line, fontsize=6.5, va="center", parse_math=False)
            place += 1
        place += 0.6
    return canvas


def draw_outputs(frame: pd.DataFrame) -> Canvas:
    """The first word problem's answers."""
    first = frame[frame["prompt"] == frame["prompt"].iloc[0]]
    blocks = [(spec, " ".join(text.split())) for spec, text in zip(first["spec"], first["text"], strict=True)]
    return _page(blocks, f"{first['prompt'].iloc[0]}  (right: {first['answer'].iloc[0]})")


def caption_outputs(frame: pd.DataFrame, setup: Setup) -> str:
    """What is shown and how it differs from the paper's table."""
    return (
        f"Greedy answers of up to {setup.profile.answer_tokens} tokens to the first of our "
        f"{frame['prompt'].nunique()} word problems (first {LINES} lines; the CSV has all of them in full). "
        "Right means that the right number occurs in the text. The paper's table 2 shows "
        "Qwen2.5-7B-Instruct on one GSM8K question: right for dense, 4 attention and 4 MLP layers dropped; "
        "garbage for 8."
    )


def _four_fine_eight_broken(frame: pd.DataFrame) -> Finding:
    ratios = _ratios(frame)
    text = ", ".join(f"{spec} {one:.2f}" for spec, one in ratios.items())
    passed = [ratios[spec].above(SOUND) for spec in ("attn:4", "mlp:4")]
    passed += [ratios[spec].below(RUINED) for spec in ("attn:8", "mlp:8")]
    right = frame.groupby("spec", sort=False)["right"].mean()
    return count_passed(
        passed,
        f"new token pairs over the dense model's: {text}; right: "
        f"{', '.join(f'{s} {r:.0%}' for s, r in right.items())}",
    )


def _ratios(frame: pd.DataFrame) -> dict[str, Limits]:
    """Share of new token pairs over that of the dense model, with limits over word problems."""
    wide = frame.pivot_table(index="prompt", columns="spec", values="distinct", sort=False).reset_index()

    def over_dense(part: pd.DataFrame, spec: str) -> float:
        return float(part[spec].mean() / part["dense"].mean())

    return {spec: geometric(wide, partial(over_dense, spec=spec)) for spec in SPECS if spec != "dense"}


def _takeaway(frame: pd.DataFrame) -> str:
    text = ", ".join(f"{spec} {one.value:.0%}" for spec, one in _ratios(frame).items())
    return f"Word pairs that do not repeat, against the dense model: {text}"


TAB02 = Figure(
    id="tab02",
    title="What dense and pruned models answer",
    compute=compute_outputs,
    draw=draw_outputs,
    caption=caption_outputs,
    takeaway=_takeaway,
    section="Generation",
    claims=(
        Claim(
            "Four dropped sublayers leave the text sound, eight ruin it.",
            "paper, table 2",
            "Share of neighbouring token pairs that are new, mean over word problems: with four dropped "
            "above "
            f"{SOUND:g} of the dense model's, with eight below {RUINED:g} of it, for attention and MLP: all "
            "four "
            "hold, some partly. (Right answers are too rare at this size to judge by.)",
            _four_fine_eight_broken,
        ),
    ),
)
