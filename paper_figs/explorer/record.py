"""Record what the explorer's first page shows: logits of the dense and the pruned model on dense texts.

``python -m paper_figs.explorer.record`` writes ``data/recorded.json`` anew, from the embedded model, seed 0.
For each prompt, temperature and seed the dense model writes a text; at each of its positions the file holds
the log-probabilities, under every model, of the token that was drawn and of the dense model's likeliest ones.
What they leave is the tail. Total variation over the whole vocabulary stands beside them.
"""

from __future__ import annotations

import json
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

import real
from paper_figs.explorer.build import RECORDED
from real.models.load import LanguageModel
from real.pruning.choose import choose_sublayers
from real.text.passes import final_hidden, head_logits
from real.text.texts import calibration_tokens
from theory.files import atomic_path

PROMPTS = {
    "What is the capital of France?": "Paris",
    "Write one sentence about the sea.": None,
    "How many legs does a spider have?": "eight",
}
COUNTS = (1, 2, 4, 8)  # of dropped attention sublayers
CALIBRATION = (4, 128)  # texts, tokens in each
TEMPERATURES = (0.5, 1.0, 1.5)
SEEDS, TOKENS, TOP = 4, 12, 40
DIGITS = 4  # of a logit: rounding moves a probability by less than 1e-4 of itself


def record(lm: LanguageModel) -> dict[str, Any]:
    """Everything the page needs, as plain numbers and text."""
    texts = [text for temperature in TEMPERATURES for text in _texts(lm, temperature)]
    models = [_logits(lm, texts)]  # the dense model's first
    rows = calibration_tokens(lm.tokenizer, *CALIBRATION)
    order = choose_sublayers(lm, f"attn:{max(COUNTS)}", rows).layers
    for count in COUNTS:
        with real.pruned(lm, f"attn:{sorted(order[:count])}".replace(" ", "")):
            models.append(_logits(lm, texts))
    return {
        "model": lm.name,
        "specs": ["dense", *(f"attn:{count}" for count in COUNTS)],
        "answers": PROMPTS,
        "temperatures": TEMPERATURES,
        "texts": [_entry(lm, text, [model[index] for model in models]) for index, text in enumerate(texts)],
    }


def _texts(lm: LanguageModel, temperature: float) -> list[dict[str, Any]]:
    """``SEEDS`` texts of every prompt."""
    drawn = real.sample(lm, list(PROMPTS), TOKENS, SEEDS, temperature, 0)
    return [
        {
            "prompt": list(PROMPTS)[int(drawn.prompt[row])],
            "temperature": temperature,
            "seed": row % SEEDS,
            "start": int(drawn.prompt_lengths[row]),
            "ids": drawn.tokens[row, : int(drawn.lengths[row])].tolist(),
        }
        for row in range(len(drawn))
    ]


def _logits(lm: LanguageModel, texts: list[dict[str, Any]]) -> list[Tensor]:
    """Logits ``(positions, V)`` that predict the generated tokens of each text, float32.

    Padding stands to the right, where a causal model does not see it.
    """
    ids = [torch.tensor(text["ids"]) for text in texts]
    hidden = final_hidden(lm, pad_sequence(ids, batch_first=True))
    return [
        head_logits(lm, hidden[row, text["start"] - 1 : len(text["ids"]) - 1])
        for row, text in enumerate(texts)
    ]


def _entry(lm: LanguageModel, text: dict[str, Any], logits: list[Tensor]) -> dict[str, Any]:
    generated = text["ids"][text["start"] :]
    steps = [
        _step(lm, token, [model[place] for model in logits], text["temperature"])
        for place, token in enumerate(generated)
    ]
    return {key: text[key] for key in ("prompt", "temperature", "seed")} | {"steps": steps}


def _step(lm: LanguageModel, token: int, logits: list[Tensor], temperature: float) -> dict[str, Any]:
    """One position: words, logits over T less their log-sum (log-probabilities), and exact distances."""
    log_p = [torch.log_softmax(one.double() / temperature, 0) for one in logits]
    kept = list(dict.fromkeys([token, *log_p[0].topk(TOP).indices.tolist()]))[:TOP]
    dense = log_p[0].exp()
    return {
        "chosen": 0,
        "words": [lm.tokenizer.decode([one]) for one in kept],
        "logp": [[round(float(one[k]), DIGITS) for k in kept] for one in log_p],
        "tv": [round(float((dense - one.exp()).abs().sum() / 2), 6) for one in log_p],
    }


def main() -> None:
    """Write the file anew."""
    found = record(real.load("smollm2-135m"))
    RECORDED.parent.mkdir(exist_ok=True)
    with atomic_path(RECORDED) as partial:
        partial.write_text(json.dumps(found, ensure_ascii=False, separators=(",", ":")) + "\n", "utf-8")


if __name__ == "__main__":
    main()
