"""Tables of every command at 80 columns: no name and no number is cut."""

from __future__ import annotations

from io import StringIO

import pandas as pd
import pytest
from rich.console import Console, RenderableType

from real.commands.evaluate_output import summary_tables
from real.commands.structure_output import layer_table
from real.commands.trace_output import summary_table
from sim.attacks.search import attack, attack_table
from sim.noise.regimes import regime_map, regime_tables
from sim.sweeps.results import ATTACK, SWEEP, printed, read_json, theorem_table
from tests.real.families import language_model
from theory import catalogue
from theory.command_output import catalogue_table, records_page
from theory.theorems.verify import verify_one

NAMES = [theorem.name for theorem in catalogue]
SPEC = "attn:4+wanda:50%"
SCORES = {
    **{"task": "capitals-answer", "spec": SPEC, "score": 0.512, "lower": 0.401, "upper": 0.611},
    **{"score_least": 0.443, "score_most": 0.512},
    **{"change": -0.101, "change_lower": -0.212, "change_upper": 0.123, "right_to_wrong": 12},
    **{"wrong_to_right": 3, "mcnemar": 0.0123, "agreement": 0.943, "chance": 0.25, "choice_only": 0.3},
}
DRIFTS = {"hidden_cosdist": 0.0181, "cosdist_z": 0.011, "cosdist_p": 0.07, "kl": 0.15, "tv": 0.1}


def printed_at_80(*parts: RenderableType) -> str:
    text = StringIO()
    Console(file=text, width=80).print(*parts)
    return text.getvalue()


@pytest.mark.parametrize(
    ("table", "whole"),
    [
        pytest.param(lambda: catalogue_table(catalogue), NAMES, id="list"),
        pytest.param(
            lambda: records_page([verify_one(catalogue["A5x"])]), [catalogue["A5x"].name], id="verify"
        ),
        pytest.param(
            lambda: printed(theorem_table(read_json(SWEEP), read_json(ATTACK)), "a title"), NAMES, id="table"
        ),
        pytest.param(lambda: regime_tables(regime_map(0, 4, 16)), ["0.01", "T = 4"], id="regimes"),
        pytest.param(
            lambda: attack_table(attack("B5", (2, 3), 0, 1), 0), ["B5.kl_reverse", "witness"], id="attack"
        ),
        pytest.param(
            lambda: summary_tables(pd.DataFrame([SCORES, SCORES | {"spec": "int8"}]), "scores"),
            [SPEC, "int8", "0.51", "0.44", "0.012", "capitals-answer"],
            id="evaluate",
        ),
        pytest.param(
            lambda: summary_table(pd.DataFrame([{"spec": SPEC, "top1_agree": True, **DRIFTS}])),
            [SPEC, "0.0181", "100.0%"],
            id="trace",
        ),
        pytest.param(
            lambda: layer_table(language_model("llama").anatomy), ["model.layers.0 … 2"], id="anatomy"
        ),
    ],
)
def test_nothing_is_cut(table, whole) -> None:
    text = printed_at_80(table())
    assert all(name in text for name in whole)
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text.replace(" … ", "")
