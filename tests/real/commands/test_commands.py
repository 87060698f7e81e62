"""``python -m real anatomy | prune | trace`` on a saved tiny model; wrong input costs one sentence."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import torch

from real.models.load import load
from real.models.save import save
from real.pruning.apply import pruned
from real.tracing import trace_sublayers
from tests.real.conftest import Command
from tests.real.families import LAYERS, language_model, some_tokens


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tiny model saved as any user's would be."""
    return str(save(language_model("qwen2"), tmp_path_factory.mktemp("models") / "tiny"))


def test_anatomy_shows_the_parts(real_command: Command, folder: str) -> None:
    code, out, _ = real_command("anatomy", folder)
    assert code == 0
    assert "Qwen2ForCausalLM" in out
    assert "model.layers.0 … 2" in out
    assert "of post_attention_layernorm" in out
    assert "final norm: model.norm; head: lm_head, 258 logits, apart from the input embedding" in out


def test_prune_saves_what_pruned_does(real_command: Command, folder: str, tmp_path: Path) -> None:
    target = tmp_path / "smaller"
    code, out, err = real_command("prune", folder, "attn:[1]+magnitude:2:4", "--out", str(target))
    assert code == 0, err
    assert "attn:[1] dropped attn:[1], magnitude:2:4 zeroed 50.0%" in out
    tokens = some_tokens()
    lm = load(folder)
    with pruned(lm, "attn:[1]+magnitude:2:4"), torch.no_grad():
        expected = lm.model(tokens).logits
    with torch.no_grad():
        assert torch.equal(load(str(target)).model(tokens).logits, expected)


def test_prune_reads_the_models_own_text(
    real_command: Command, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Drawn for the rows and the seed that were asked for; the record and the card say where it is from."""
    asked: list[tuple[int, ...]] = []

    def drawn(lm: object, *sizes: int) -> torch.Tensor:
        asked.append(sizes)
        return some_tokens(rows=8, length=12)

    monkeypatch.setattr("real.pruning.calibration.own_tokens", drawn)
    options = ("--out", str(tmp_path / "own"), "--calibration", "own", "--seed", "3")
    code, _, err = real_command("prune", folder, "attn:[1]+mean", *options)
    assert code == 0, err
    assert [sizes[0] for sizes in asked] == [16]
    assert [sizes[-1] for sizes in asked] == [3]
    assert "the model's own text, seed 3" in (tmp_path / "own" / "README.md").read_text("utf-8")


def test_trace_writes_one_row_per_sublayer_and_position(
    real_command: Command, folder: str, tmp_path: Path
) -> None:
    table = tmp_path / "trace.parquet"
    code, out, err = real_command("trace", folder, "--out", str(table), "--tokens", "20")
    assert code == 0, err
    frame = pd.read_parquet(table)
    assert len(frame) == 2 * LAYERS * 20
    assert {"spec", "row", "position", "kl", "tv", "cosdist_p", "hidden_cosdist"} <= set(frame.columns)
    assert "attn:[0]" in out
    lm = load(folder)
    assert next(trace_sublayers(lm, some_tokens())).kind == "attn"


def test_trace_of_a_spec_as_csv(real_command: Command, folder: str, tmp_path: Path) -> None:
    table, text = tmp_path / "trace.csv", tmp_path / "text.txt"
    text.write_text("The tide came in.\nIt went out again.")
    code, _, err = real_command(
        "trace", folder, "mlp:[0]", "--out", str(table), "--text", str(text), "--tokens", "9"
    )
    assert code == 0, err
    assert pd.read_csv(table)["spec"].unique().tolist() == ["mlp:[0]"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("prune", "MODEL", "atn:8", "--out", "new"), "unknown pruning method 'atn'; nearest valid"),
        (("prune", "MODEL", "attn:8", "--out", "new"), "spec 'attn:8' drops 8 of only 3 candidates"),
        (("prune", "MODEL", "attn:1", "--out", "MODEL"), "exists already and is not empty"),
        (("prune", "MODEL", "wanda:2:5", "--out", "new"), "not a multiple of 5"),
        (("prune", "MODEL", "attn:1", "--out", "new", "--calibration", "no.txt"), "neither 'own' nor a text"),
        (("trace", "MODEL", "attn:[1]", "--out", "trace.xlsx"), "--out must end in .parquet or .csv"),
        (("trace", "MODEL", "--dtype", "float31"), "unknown dtype 'float31'; nearest valid names: float32"),
        (("anatomy", "smollm"), "unknown model 'smollm'; nearest valid names: smollm2-135m"),
        (("anatomy", "MODEL", "--device-map", "all"), "--device-map must be 'auto', got 'all'"),
    ],
)  # fmt: skip
def test_wrong_input_costs_one_sentence(
    real_command: Command,
    folder: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    sentence: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = real_command(*(folder if a == "MODEL" else a for a in arguments))
    assert code == 2
    assert sentence in err
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []
