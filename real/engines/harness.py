"""Any engine as lm-evaluation-harness asks it: the same questions as the dense model, token by token."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from real.cache import cache_folder, content_key
from real.engines.engine import Engine, Row, score_texts
from real.models.load import LanguageModel
from real.records.record import Decoding, RecordedText
from real.records.tokenizer import tokenizer_hash
from real.tasks.evaluate import asked_rows, task_manager
from real.tasks.harness_model import Harness, harness_model
from real.tasks.kept_answers import KeptAnswers
from real.tasks.retrieval import RETRIEVAL
from theory.fingerprint import fingerprint
from theory.terminal.console import say, track

_WRITTEN = 8  # tokens between two looks for the end of an answer


class EngineHarness(Harness):
    """Questions are encoded by the dense model's tokenizer and answered by ``engine``."""

    engine: Engine

    def _loglikelihood_tokens(
        self, requests: list[Any], disable_tqdm: bool = False, override_bs: int | None = None
    ) -> list[tuple[float, bool]]:
        texts = [
            RecordedText(place, tuple(context), tuple(option), (0.0,) * len(option))
            for place, (_, context, option) in enumerate(requests)
        ]
        texts.sort(key=lambda text: text.prompt_ids + text.ids)  # what texts share is read once
        answers: list[tuple[float, bool]] = [(0.0, False)] * len(texts)
        scored = score_texts(self.engine, texts, Decoding(), 1)
        for text in track(scored, f"{self.engine.name}: options", total=len(texts)):
            best = [max(step, key=lambda known: known[1])[0] for step in text.top or ()]
            answers[text.prompt] = (sum(text.logprobs), best == list(text.ids))
            self.cache_hook.add_partial("loglikelihood", requests[text.prompt][0], answers[text.prompt])
        return answers

    def generate_until(self, requests: list[Any], disable_tqdm: bool = False) -> list[str]:
        answers = []
        for request in track(requests, f"{self.engine.name}: answers", total=len(requests)):
            context, settings = request.args
            if settings.get("do_sample") or settings.get("temperature"):
                raise ValueError(f"{self.engine.name} answers greedily; this task asks for drawn text")
            stops = [stop for stop in settings.get("until") or () if stop]
            answers.append(self._write(context, stops, int(settings.get("max_gen_toks", self.max_gen_toks))))
            self.cache_hook.add_partial("generate_until", request.args, answers[-1])
        return answers

    def _write(self, context: str, stops: Sequence[str], tokens: int) -> str:
        """The greedy text after a context, up to the first stop."""
        prompt, stopped, text = tuple(self.tok_encode(context)), False, ""
        ids: tuple[int, ...] = ()
        while len(ids) < tokens and not stopped and not any(stop in text for stop in stops):
            row = Row(0, 0, (*prompt, *ids))
            (more,) = self.engine.draw([row], min(_WRITTEN, tokens - len(ids)), Decoding(0.0), 0, 0)
            stopped = more.stopped
            ids += more.ids[:-1] if stopped else more.ids
            text = self.tok_decode(list(ids))
        return min((text.split(stop)[0] for stop in stops), key=len, default=text)


def engine_answers(
    lm: LanguageModel, engine: Engine, tasks: Sequence[str], limit: int | None = None
) -> pd.DataFrame:
    """Items of another engine's model, as :func:`real.tasks.evaluate.evaluate` gives those of ``lm``.

    Answers of a server are not kept, because it may run other weights tomorrow.

    Raises
    ------
    ValueError
        The engine has another tokenizer, or a task needs hidden states.
    """
    if RETRIEVAL in tasks:
        raise ValueError(f"{RETRIEVAL!r} needs hidden states, which {engine.name} does not give")
    ours = tokenizer_hash(lm.tokenizer.get_vocab())
    if engine.tokenizer_sha256 not in (None, ours):
        raise ValueError(f"{engine.name} and {lm.name} have different tokenizers: questions would differ")
    harness = harness_model(lm, 1, kind=EngineHarness)
    harness.engine = engine
    facts = [engine.name, engine.description, engine.weights, ours, version("lm-eval")]
    name = f"{content_key([*facts, fingerprint('real.engines.harness')])}.db"
    say(f"{engine.name}: answering {len(tasks)} tasks ({engine.description})")
    with tempfile.TemporaryDirectory() as passing:
        folder = Path(passing) if engine.weights is None else cache_folder() / "answers"
        known = KeptAnswers(harness, folder / name)
        rows = asked_rows(known, lm, tasks, task_manager(tasks), limit, {})
    return pd.DataFrame(rows).assign(model=engine.name, spec=engine.name)
