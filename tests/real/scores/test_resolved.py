from __future__ import annotations

import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from real.models.load import LanguageModel, load
from real.pruning.variants import variant
from real.scores.accepted import Accepted
from real.scores.resolved import RIGHT, UNDECIDED, WRONG, Resolved, change, resolve
from real.scores.spelling import SpellingError, spelling
from real.scores.tree import Question, Tree, trees
from real.tasks.source import shipped
from real.text.sample import sample
from tests.real.families import CONFIGS, language_model
from tests.real.scores.few_tokens import every_text, few_tokens, question, written

ANSWERS = [("ab",), ("a",), ("aba",), ("a", "ab"), ("b", "ba", "bab"), ("a b",)]
STOPS = [(".",), (".", " "), ("b.",), ("..", "a."), ()]


def tree(lm: LanguageModel, one: Question) -> Tree:
    return Tree(one, spelling(lm), lm.tokenizer)


def right(text: str, answers: tuple[str, ...], stops: tuple[str, ...]) -> bool:
    return written(text, stops).strip() in answers


def greedy(lm: LanguageModel, prompt: tuple[int, ...], horizon: int) -> str:
    drawn = sample(lm, [prompt], horizon, 1, 0.0)
    return lm.tokenizer.decode(drawn.continuation(0), skip_special_tokens=True)


def spellable(answers: tuple[str, ...], stops: tuple[str, ...]) -> bool:
    return any(right(answer, answers, stops) for answer in answers)


@given(
    seed=st.integers(0, 30),
    answers=st.sampled_from(ANSWERS),
    stops=st.sampled_from(STOPS),
    horizon=st.integers(3, 4),
    rows=st.integers(0, 12),
    temperature=st.sampled_from([0.3, 1.0, 2.0]),
)
@settings(max_examples=15)
def test_the_score_of_every_text_lies_between_the_ends(
    seed: int, answers: tuple[str, ...], stops: tuple[str, ...], horizon: int, rows: int, temperature: float
) -> None:
    if not spellable(answers, stops):
        return
    lm = few_tokens(seed)
    one = question(Accepted(answers, stops), horizon)
    found = resolve(lm, [tree(lm, one)], temperature=temperature, mass=0.0, rows=rows)
    texts = list(every_text(lm, one.prompt, horizon, temperature))
    truth = sum(chance for text, chance in texts if right(text, answers, stops))
    low, high = float(found.won), float(found.upper)
    assert low <= truth + 1e-9
    assert truth <= high + 1e-9
    assert float(found.won + found.lost + found.unresolved) == pytest.approx(1, abs=1e-12)
    outcome = int(found.greedy)
    if outcome != UNDECIDED:
        assert outcome == (RIGHT if right(greedy(lm, one.prompt, horizon), answers, stops) else WRONG)


@pytest.mark.parametrize("stops", [(".",), (".", " "), ("..",)])
def test_with_every_alive_token_followed_the_score_is_exact(stops: tuple[str, ...]) -> None:
    lm = few_tokens(3)
    one = question(Accepted(("ab", "ba"), stops), 4)
    found = resolve(lm, [tree(lm, one)], mass=0.0, rows=10_000)
    truth = sum(c for text, c in every_text(lm, one.prompt, 4) if right(text, ("ab", "ba"), stops))
    assert float(found.unresolved) == 0
    assert float(found.won) == pytest.approx(truth, rel=1e-9)
    assert int(found.greedy) != UNDECIDED


@pytest.mark.parametrize(("pattern", "plain"), [("a+b?", "a+b?"), (r"(ab|b)\.?a", r"(ab|b)\.?a")])
def test_a_pattern_is_a_set_of_answers(pattern: str, plain: str) -> None:
    lm = few_tokens(5)
    one = question(Accepted((), (".",), pattern), 4)
    found = resolve(lm, [tree(lm, one)], mass=0.0, rows=10_000)
    truth = sum(
        chance
        for text, chance in every_text(lm, one.prompt, 4)
        if re.fullmatch(plain, text.split(".")[0].strip())
    )
    assert float(found.won) == pytest.approx(truth, rel=1e-9)


def test_the_usual_spelling_is_not_the_event() -> None:
    """K1x: other tokenisations and stops count as well; one row knows it is a lower bound."""
    lm = few_tokens(1)
    one = question(Accepted(("ab",), (".",)), 4)
    whole = resolve(lm, [tree(lm, one)], mass=0.0, rows=10_000)
    row = resolve(lm, [tree(lm, one)], mass=0.0, rows=0)
    assert float(row.won) < float(whole.won) < float(row.upper)


def test_rows_are_added_until_the_mass_is_small_or_the_budget_is_spent() -> None:
    lm = few_tokens(2)
    some = [tree(lm, question(Accepted(("ab",), (".",)), 4))]
    widths = [float(resolve(lm, some, mass=0.0, rows=rows).unresolved) for rows in (0, 1, 2, 4, 8)]
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] < widths[0]
    assert float(resolve(lm, some, mass=0.05, rows=10_000).unresolved) <= 0.05


def test_a_variant_starts_where_the_dense_model_ended_and_leaves_its_trees_alone() -> None:
    lm, other = few_tokens(2), few_tokens(9)
    one = question(Accepted(("ab",), (".",)), 4)
    dense = resolve(lm, [tree(lm, one)], mass=0.1)
    before = set(dense.trees[0].nodes)
    found = resolve(other, dense.trees, mass=0.0, rows=10_000)
    assert set(dense.trees[0].nodes) == before < set(found.trees[0].nodes)
    truths = [
        sum(c for text, c in every_text(model, one.prompt, 4) if right(text, ("ab",), (".",)))
        for model in (lm, other)
    ]
    low, high = change(dense, found)
    assert float(low) <= truths[1] - truths[0] <= float(high)


def resolved_apart(lm: LanguageModel, questions: list[Question]) -> list[Resolved]:
    return [resolve(lm, [tree(lm, one)], rows=0) for one in questions]


@pytest.mark.parametrize("name", CONFIGS)
def test_questions_read_together_give_what_each_gives_alone(name: str) -> None:
    """Shared beginnings, caches and padding change nothing, in any family of models."""
    lm = language_model(name)
    prompts = ["the same long beginning, one", "the same long beginning, two!", "other"]
    questions = [
        Question(tuple(lm.tokenizer(text, add_special_tokens=False).input_ids), Accepted(answers, ("\n",)), 8)
        for text in prompts
        for answers in [("yes", "no", "maybe")]
    ]
    together = resolve(lm, [tree(lm, one) for one in questions], rows=0)
    apart = resolved_apart(lm, questions)
    for index, one in enumerate(apart):
        torch.testing.assert_close(together.won[index], one.won[0], rtol=1e-3, atol=1e-12)
        torch.testing.assert_close(together.unresolved[index], one.unresolved[0], rtol=1e-3, atol=1e-9)


def test_an_answer_longer_than_the_horizon_is_named() -> None:
    lm = few_tokens(0)
    with pytest.raises(ValueError, match="'ababab' needs 3 tokens, more than the 2"):
        tree(lm, question(Accepted(("ababab",), (".",)), 2))


def test_an_answer_that_no_tokens_write_is_named() -> None:
    lm = few_tokens(0)
    with pytest.raises(SpellingError, match="'xyz'"):
        tree(lm, question(Accepted(("xyz",), (".",)), 4))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["past-tense", "capitals-answer"])
def test_greedy_verdicts_are_what_the_model_writes(name: str) -> None:
    lm = load("smollm2-135m")
    source = shipped(name, limit=12)
    with variant(lm, "mlp:2") as other:
        found = resolve(other, trees(other, source))
        drawn = sample(
            other, [tree.question.prompt for tree in found.trees], source.horizon, 1, temperature=0.0
        )
        for index, one in enumerate(found.trees):
            text = lm.tokenizer.decode(drawn.continuation(index), skip_special_tokens=True)
            is_right = one.question.accepted.is_right(text.encode())
            assert int(found.greedy[index]) == (RIGHT if is_right else WRONG)
