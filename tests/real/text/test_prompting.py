"""What the model reads is what the user wrote: nothing dropped, nothing that ends the text."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from real.models.load import LanguageModel
from real.text.prompting import encode_prompt, encode_prompts, encode_text, survives
from real.text.seeds import check_seed, generator, row_generator
from real.text.texts import calibration_tokens, opening_tokens
from tests.real.conftest import byte_tokenizer, tiny_language_model

LM = tiny_language_model()
FRAMES = {"$A": [], "<s> $A": [256], "$A </s>": [], "<s> $A </s>": [256], "<s> </s> $A <s>": [256, 257]}


def framed(frame: str) -> PreTrainedTokenizerFast:
    tokenizer = byte_tokenizer()
    special = [("<s>", 256), ("</s>", 257)]
    template = processors.TemplateProcessing(single=frame, special_tokens=special)
    tokenizer.backend_tokenizer.post_processor = template
    return tokenizer


def model(tokenizer: PreTrainedTokenizerBase) -> LanguageModel:
    return LanguageModel(LM.model, tokenizer, "tiny", {})


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("bos", ["<s>", "</s>", None])
def test_a_text_to_continue_is_opened_and_never_ended(frame: str, bos: str | None) -> None:
    tokenizer = framed(frame)
    tokenizer.bos_token = bos
    lm, opening = model(tokenizer), FRAMES[frame]
    assert opening_tokens(tokenizer) == opening
    plain = byte_tokenizer()("Continue this").input_ids
    assert encode_text(lm, "Continue this") == opening + plain
    assert encode_prompt(lm, "Continue this") == opening + plain
    rows = calibration_tokens(tokenizer, 2, 8)
    assert rows[:, : len(opening)].tolist() == [opening] * 2
    assert 257 not in rows[:, len(opening) :]


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_any_text_survives_bytes(text: str) -> None:
    assert byte_tokenizer().decode(encode_prompt(model(byte_tokenizer()), text)) == text


def test_a_tokenizer_that_loses_letters_is_said() -> None:
    core = Tokenizer(models.WordLevel({"known": 0, "words": 1, "<unk>": 2}, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    lm = model(PreTrainedTokenizerFast(tokenizer_object=core, unk_token="<unk>"))
    assert encode_prompt(lm, "known  words") == [0, 1]
    with pytest.raises(ValueError, match="does not keep the prompt 'known secrets'"):
        encode_prompt(lm, "known secrets")


def test_an_id_without_an_embedding_is_said() -> None:
    tokenizer = byte_tokenizer()
    tokenizer.add_tokens(["<tool>"])
    with pytest.raises(ValueError, match=r"prompt 1 has token id 258; the embedding of tiny has 258 rows"):
        encode_prompts(model(tokenizer), ["a", "use <tool>"], 4)


EACH = "{% for m in messages %}"
REFUSED = {
    "needs a system turn": "{% if messages[0]['role'] != 'system' %}"
    "{{ raise_exception('a system turn is required') }}{% endif %}{{ messages[0]['content'] }}",
    "needs tools": "{% for t in tools %}{{ t['function']['name'] }}{% endfor %}",
    "does not parse": EACH + "{{ m['content'] }",
    "drops the prompt": EACH + "<turn>{% endfor %}",
    "says something else": EACH + "{{ m['content'][:3] }}{% endfor %}",
    "knows no such role": EACH + "{{ {'bot': 1}[m['role']] + 1 }}{% endfor %}",
}


@pytest.mark.parametrize("fault", REFUSED)
def test_a_chat_template_that_cannot_say_the_prompt(fault: str) -> None:
    with pytest.raises(ValueError, match="cannot render a single user turn") as error:
        encode_prompt(model(byte_tokenizer(REFUSED[fault])), "hello there")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["hello", "  two\n lines ", "<b>&amp;</b>", "é ü 漢"])
def test_templates_take_a_string_or_parts(text: str) -> None:
    string = EACH + "[{{ m['content'] | trim }}]{% endfor %}"
    parts = EACH + "{% for p in m['content'] %}{% if p['type'] == 'text' %}[{{ p['text'] | trim }}]"
    parts += "{% endif %}{% endfor %}{% endfor %}"
    for template in (string, parts):
        tokenizer = byte_tokenizer(template)
        assert tokenizer.decode(encode_prompt(model(tokenizer), text)) == f"[{text.strip()}]"


def test_survives_is_about_letters() -> None:
    assert survives("Two  Words", "<s>two words</s>")
    assert survives("ﬁne", "fine")
    assert not survives("two words", "two word")


@given(seed=st.integers(0, 2**63 - 1), row=st.integers(0, 10**6))
def test_every_seed_gives_numbers_of_its_own(seed: int, row: int) -> None:
    one = torch.rand(2, generator=row_generator(seed, row))
    assert torch.equal(one, torch.rand(2, generator=row_generator(seed, row)))
    assert not torch.equal(one, torch.rand(2, generator=row_generator(seed, row + 1)))
    assert generator(seed).initial_seed() == seed


@pytest.mark.parametrize("seed", [-1, 2**63, 2**64, -(2**70)])
def test_a_seed_that_no_generator_takes(seed: int) -> None:
    with pytest.raises(ValueError, match=r"seed must be between 0 and 2\^63 - 1"):
        check_seed(seed)
