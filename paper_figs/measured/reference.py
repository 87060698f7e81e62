"""The paper's curves, digitised from its figures, as tidy tables (see data/NOTICE)."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pandas as pd

PAPER = "paper, Qwen2.5-7B"
FOLDER = Path(__file__).parents[1] / "data"
_SPACES = {"emb": "h", "logit": "z", "prob": "p"}


@cache
def _read(name: str) -> pd.DataFrame:
    return pd.read_csv(FOLDER / name)


def layerwise() -> pd.DataFrame:
    """Figure 4: mean, minimum and maximum cosine for each kind, layer and space."""
    rows = []
    for kind in ("attn", "mlp"):
        table = _read(f"fig4_{kind}_cos_by_layer.csv")
        for column, space in _SPACES.items():
            part = table[["layer", column, f"{column}_min", f"{column}_max"]]
            part = part.set_axis(["layer", "mean", "low", "high"], axis=1)
            rows.append(part.assign(kind=kind, space=space, source=PAPER))
    return pd.concat(rows, ignore_index=True)


def estimates() -> pd.DataFrame:
    """Figure 6, as its public repository shows it: ground truth and estimate for each step."""
    tables = {
        "cosdist_p": _read("readme_fig6a_1-cosP_attn_T1.csv"),
        "kl": _read("readme_fig6b_KL_attn_T1.csv"),
    }
    rows = [table.assign(quantity=quantity, source=PAPER) for quantity, table in tables.items()]
    return pd.concat(rows, ignore_index=True).rename(
        columns={"groundtruth": "truth", "estimated": "estimate"}
    )


def free_running() -> pd.DataFrame:
    """Figure 7: cosines of h, z, p and KL for each free-running step, 8 attention layers dropped."""
    table = _read("fig7_final_step_similarity_qwen25_drop8A.csv")
    names = {"cos_emb": "cos_h", "cos_logit": "cos_z", "cos_prob": "cos_p"}
    return table.rename(columns=names).assign(source=PAPER)


def compression() -> pd.DataFrame:
    """Figure 12: six step-wise quantities for three kinds of compression, one row for each step and kind."""
    table = _read("fig12_stepwise_compression.csv").set_index("step")
    table.columns = pd.MultiIndex.from_tuples(
        [tuple(name.split(":", 1)) for name in table.columns], names=["quantity", "spec"]
    )
    return table.stack("spec").reset_index().assign(source=PAPER)


def performance() -> pd.DataFrame:
    """Figure 1: performance in percent for each task, method and number of dropped layers."""
    return _read("fig1_qwen25_7b_instruct_interlayer.csv").assign(source=PAPER)


def options() -> pd.DataFrame:
    """Figure 8b: log-likelihoods of the options of one question, dense and 8 attention layers dropped."""
    return _read("fig8_option_log_likelihoods.csv").assign(source=PAPER)
