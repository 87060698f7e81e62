"""Search: what is reused changes no number, measurements decide, budgets are kept, a killed run goes on."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from real.command_line import app
from real.models.load import LanguageModel, load
from real.models.save import save
from real.pruning.spec import parse_spec
from real.search.budget import Budget, parse_budget
from real.search.candidates import Lighter, as_spec
from real.search.journal import Journal
from real.search.measuring import Texts
from real.search.search import choose_by_gram, exactly, within
from real.structure.drop import dropped
from real.structure.part import Part
from real.structure.resume import Resume
from tests.real.every_family import tiny
from tests.real.families import LAYERS, TRANSFORMERS, language_model, some_tokens
from tests.real.search.conftest import KL, PROMPTS, searched


@pytest.mark.parametrize("name", [*TRANSFORMERS, "bamba", "gemma3n_text"])
def test_resuming_is_running(name: str) -> None:
    """The stream of a set is the same from wherever it is resumed, in every family."""
    model = language_model(name) if name in TRANSFORMERS else tiny(name)
    tokens = some_tokens(rows=3, length=9)
    resume, found = Resume(model.anatomy, tokens), model.anatomy
    sets = [[], [Part(1, "attn")], [Part(1, "attn"), Part(2, "mlp")], [Part(2, "mlp")], [Part(0, "block")]]
    for index, parts in enumerate(sets):
        if index == 2:
            resume.rebase([Part(1, "attn")])
        try:
            with torch.no_grad(), dropped(found, parts):
                expected = model.model(input_ids=tokens).logits
        except ValueError:  # no such part
            continue
        logits = found.logits_from_hidden(resume.head_inputs(parts), final_norm=False)
        torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4)
    if name == "llama":  # 5 dense, base; then 2, 1 (after the base), 1, 3 layers
        assert resume.layers_run < len(sets) * LAYERS


def test_measures_against_torch(lm: LanguageModel) -> None:
    """KL and TV of a set, recomputed without reuse."""
    texts = Texts(lm, PROMPTS, 8, KL)
    chosen = [Part(1, "attn"), Part(3, "mlp")]
    found = texts.measure(chosen)
    samples = texts.samples
    kls, terms = [], []
    for row in range(len(samples)):
        tokens = samples.tokens[row, : samples.lengths[row]].unsqueeze(0)
        first = int(samples.prompt_lengths[row]) - 1
        with torch.no_grad():
            p = lm.model(tokens).logits[0, first:-1].double().log_softmax(-1)
            with dropped(lm.anatomy, chosen):
                q = lm.model(tokens).logits[0, first:-1].double().log_softmax(-1)
        kls.append(float((p.exp() * (p - q)).sum(-1).mean()))
        ratio = (q - p).gather(1, tokens[0, first + 1 :].unsqueeze(1)).sum()
        terms.append(float((1 - ratio.exp()).clamp(min=0)))
    assert found == pytest.approx(sum(kls) / len(kls), rel=1e-4)
    tv = Texts(lm, PROMPTS, 8, Budget("tv", 0.5, tokens=8)).measure(chosen)
    assert tv == pytest.approx(sum(terms) / len(terms), rel=1e-3)


def test_gram_matrix_is_the_covariance_of_single_effects(lm: LanguageModel) -> None:
    search = searched(lm)
    texts, (one, other) = search.texts, search.candidates[2:4]
    head = lm.anatomy.logits_from_hidden
    dense = head(texts.dense, final_norm=False).double()
    p = dense.softmax(-1)
    changes = [head(texts.states([part]), final_norm=False).double() - dense for part in (one, other)]
    centred = [change - (p * change).sum(-1, keepdim=True) for change in changes]
    expected = float((p * centred[0] * centred[1]).sum(-1).mean())
    assert float(search.gram[2, 3]) == pytest.approx(expected, rel=1e-3, abs=1e-7)
    assert search.predicted([one, other]) == pytest.approx(
        float(search.gram[2, 2] + search.gram[3, 3] + 2 * search.gram[2, 3]) / 2
    )


def test_the_gram_choice_is_no_worse_than_any_exchange(lm: LanguageModel) -> None:
    search = searched(lm)
    chosen = choose_by_gram(search, 3)
    assert len(chosen) == 3
    for out, new in itertools.product(chosen, set(search.candidates) - chosen):
        assert search.predicted(chosen - {out} | {new}) >= search.predicted(chosen) * (1 - 1e-9)


def test_exactly_so_many_and_never_worse_than_the_start(lm: LanguageModel) -> None:
    search = searched(lm)
    best = exactly(search, 3)
    assert len(best.parts) == 3
    assert best.drift <= search.measured(choose_by_gram(search, 3)).drift
    assert best.drift == pytest.approx(search.texts.measure(best.parts), rel=1e-5)
    with pytest.raises(ValueError, match="drop 99 of 8 candidates"):
        exactly(search, 99)


@pytest.mark.parametrize("limit", [1e-9, 1.0, 100.0])
def test_budgets_are_kept_and_used(lm: LanguageModel, limit: float) -> None:
    """Nothing is dropped for nothing, all for everything; in between another part would be too much."""
    budget = Budget("kl", limit)
    search = searched(lm, budget=budget)
    best = within(search, budget)
    assert best.drift <= limit
    assert (len(best.parts) == 0) == (limit == 1e-9)
    assert (len(best.parts) == 8) == (limit == 100.0)
    assert best in search.front()


def test_the_front_is_what_nothing_beats(lm: LanguageModel) -> None:
    search = searched(lm)
    within(search, KL)
    front = search.front()
    for point in front:
        others = [one for one in search.points.values() if one is not point]
        assert not any(one.drift <= point.drift and one.saved > point.saved for one in others)
        assert not any(one.drift < point.drift and one.saved >= point.saved for one in others)
    assert front[0].spec == "dense"


def test_a_killed_search_goes_on_with_the_same_bits(lm: LanguageModel, tmp_path: Path) -> None:
    """Killed in the middle of a line, it ends as one that was not."""
    whole = within(searched(lm, tmp_path / "whole"), KL)
    lines = (tmp_path / "whole" / "journal.jsonl").read_bytes()
    for share in (0.3, 0.7, 0.95):
        folder = tmp_path / str(share)
        folder.mkdir()
        (folder / "journal.jsonl").write_bytes(lines[: int(len(lines) * share)])
        again = searched(lm, folder)
        assert within(again, KL) == whole
        assert again.journal.recalled >= (share > 0.5)
        assert (folder / "journal.jsonl").read_bytes() == lines


def test_a_journal_of_something_else_is_not_used(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    assert Journal(path, "one").recall("a", lambda: 1) == 1
    assert Journal(path, "other").recall("a", lambda: 2) == 2
    assert Journal(path, "other").recall("a", lambda: 3) == 2


def test_a_score_of_ones_own(lm: LanguageModel, tmp_path: Path) -> None:
    """The share of the dense score that is lost, by the resolved score of the task."""
    questions = [{"prompt": f"{n} and then", "answer": "a"} for n in range(4)]
    path = tmp_path / "mine.jsonl"
    path.write_text("\n".join(map(json.dumps, questions)))
    budget = parse_budget(f"score({path})>=0.5")
    search = searched(lm, budget=budget)
    assert search.texts.measure([]) == 0
    assert search.texts.measure([Part(1, "mlp"), Part(0, "attn")]) <= 1
    assert within(search, budget).drift <= 0.5


def test_the_command(lm: LanguageModel, tmp_path: Path) -> None:
    """One spec on standard output; table, JSON and plot in the folder; the spec prunes."""
    folder = save(lm, tmp_path / "model")
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("\n".join(PROMPTS))
    options = ["--out", str(tmp_path / "found"), "--keep", "kl<=0.5", "--tokens", "6", "--repair", "mean"]
    done = CliRunner().invoke(app, ["search", str(folder), *options, "--prompts", str(prompts)])
    assert done.exit_code == 0, done.output
    entry = json.loads((tmp_path / "found" / "front.json").read_text())
    assert {one["spec"] for one in entry["unseen"]} == {entry["best"], f"{entry['best']}+mean"}
    assert f"{entry['best']}+mean" in done.stdout.splitlines()[-1]
    assert (tmp_path / "found" / "front.png").stat().st_size > 1000
    assert all(0 <= one["saved"] < 1 and one["drift"] <= 1e3 for one in entry["front"])
    assert load(str(folder)).provenance


def test_specs_of_sets() -> None:
    assert as_spec([]) == "dense"
    assert as_spec([Part(3, "attn"), Part(1, "mlp"), Part(0, "attn")]) == "attn:[0,3]+mlp:[1]"
    mixed = [Lighter(2, "wanda:50%"), Part(1, "block"), Lighter(0, "int4"), Lighter(3, "int4")]
    assert as_spec(mixed) == "block:[1]+int4@[0,3]+wanda:50%@[2]"
    assert str(parse_spec(as_spec(mixed))) == as_spec(mixed)
