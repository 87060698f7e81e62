"""What a model may be trusted with, asked of the model itself on a few tokens.

Every answer compares logits that the model gives in one way with those of a plain forward pass over the same
tokens, so no class name decides anything.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import GenerationConfig, PreTrainedModel

from real.models.settings import neutral_settings
from real.structure.probe import no_cache, probe_tokens, record

_LENGTH, _SHORT, _WRITTEN = 16, 5, 3  # tokens of the long and the short prompt, tokens written after each
# Differences that rounding explains, relative to the spread of the logits.
_ALLOWANCE = {torch.float64: 1e-9, torch.float32: 1e-3}
_HALF_ALLOWANCE = 0.1


@dataclass(frozen=True)
class Checks:
    """Answers of one model.

    padded: prompts of unlike length may be written after in one batch. cached: a cache gives the logits of a
    plain pass. shared: a text that was read once serves many continuations. sound: logits are numbers.
    causal: no token is read before it is there.
    """

    sound: bool = True
    causal: bool = True
    padded: bool = True
    cached: bool = True
    shared: bool = True


@torch.no_grad()
def check(model: PreTrainedModel) -> Checks:
    """Ask all questions: about a hundred tokens of forward passes."""
    context = getattr(model.config.get_text_config(), "max_position_embeddings", None) or _LENGTH + _WRITTEN
    length = min(_LENGTH, int(context) - _WRITTEN)
    if length <= _SHORT:
        plain = _logits(model, probe_tokens(model, max(1, int(context))))
        return Checks(_sound(plain), padded=False, cached=False, shared=False)
    long = probe_tokens(model, length)[0]
    short = long.flip(0)[:_SHORT]
    plain = _logits(model, long.unsqueeze(0))
    if not _sound(plain):
        return Checks(False, False, False, False, False)
    if not is_causal(model, long, plain[0]):
        return Checks(True, False, False, False, False)
    padded = _writes_alike(model, [long, short])
    cached = padded or _writes_alike(model, [long])
    shared = cached and _reads_once(model, long, plain[0])
    return Checks(padded=padded, cached=cached, shared=shared)


def is_causal(model: PreTrainedModel, tokens: Tensor, plain: Tensor) -> bool:
    """Whether another last token leaves all logits before it as they are.

    Equal to the last bit: yes. Otherwise rounding may explain it (experts take tokens together), so the
    gradient decides, which is exactly zero where there is no path.
    """
    other = tokens.clone()
    other[-1] = tokens[0]
    changed = _logits(model, other.unsqueeze(0))[0]
    if torch.equal(changed[:-1], plain[:-1]):
        return True
    return not _looks_ahead(model, tokens)


def _looks_ahead(model: PreTrainedModel, tokens: Tensor) -> bool:
    """Whether the first position's logits depend on the last token's embedding."""
    seen: list[Tensor] = []

    def enter(module: Any, args: Any, output: Tensor) -> Tensor:
        seen.append(output.detach().clone().requires_grad_())
        return seen[-1].clone()

    handle = model.get_input_embeddings().register_forward_hook(enter)
    try:
        with torch.enable_grad():
            logits = model(input_ids=tokens.unsqueeze(0), **no_cache(model)).logits
            weights = torch.linspace(1.0, 2.0, logits.shape[-1], device=logits.device)
            loss = (logits[0, :-1].float().clamp(min=-1e30) * weights).sum()
            (gradient,) = torch.autograd.grad(loss, seen[0])
    finally:
        handle.remove()
    return bool((gradient.reshape(len(tokens), -1)[-1] != 0).any())


@torch.no_grad()
def _writes_alike(model: PreTrainedModel, prompts: Sequence[Tensor]) -> bool:
    """Whether a cached, left-padded batch writes with the logits of each row's own plain pass."""
    width = max(map(len, prompts))
    pad = int(prompts[0][0])
    ids = torch.stack([torch.nn.functional.pad(p, (width - len(p), 0), value=pad) for p in prompts])
    lengths = torch.tensor([len(p) for p in prompts], device=ids.device)
    mask = (torch.arange(width, device=ids.device) >= width - lengths.unsqueeze(1)).long()
    settings = GenerationConfig(  # type: ignore[no-untyped-call]
        do_sample=False,
        max_new_tokens=_WRITTEN,
        min_new_tokens=0,
        output_logits=True,
        return_dict_in_generate=True,
        pad_token_id=pad,
    )
    try:
        with neutral_settings(model):
            model.generation_config.eos_token_id = None
            written: Any = model.generate(ids, attention_mask=mask, generation_config=settings)  # type: ignore[operator]
    except Exception:  # whatever a model's own code cannot do, it is not to be trusted with
        return False
    for row, prompt in enumerate(prompts):
        whole = torch.cat([prompt, written.sequences[row, width:]])
        plain = _logits(model, whole.unsqueeze(0))[0, len(prompt) - 1 : -1]
        if not same_logits(torch.stack([step[row] for step in written.logits]), plain):
            return False
    return True


@torch.no_grad()
def _reads_once(model: PreTrainedModel, tokens: Tensor, plain: Tensor) -> bool:
    """Whether the cache of a text's first half, copied for two rows, continues as a plain pass does."""
    half = len(tokens) // 2
    try:
        first = model(input_ids=tokens[:half].unsqueeze(0), use_cache=True)
        cache = copy.deepcopy(first.past_key_values)
        cache.batch_repeat_interleave(2)
        rest = tokens[half:].expand(2, -1)
        logits = model(input_ids=rest, past_key_values=cache, use_cache=True).logits
    except Exception:  # caches that serve one text only, chunks that a cache does not take
        return False
    return all(same_logits(row, plain[half:]) for row in logits)


def same_logits(one: Tensor, other: Tensor) -> bool:
    """Equality of logits ``(..., V)`` up to rounding; minus infinity equals itself."""
    one, other = one.to(other.device), other
    finite = other.isfinite()
    if one.shape != other.shape or not torch.equal(one.isfinite(), finite):
        return False
    allowance = _ALLOWANCE.get(other.dtype, _HALF_ALLOWANCE)
    values = torch.where(finite, other, 0).double()
    eps = torch.finfo(other.dtype).eps
    limit = allowance * values.std(-1, keepdim=True) + 4 * eps * values.abs().amax(-1, keepdim=True)
    return bool(((torch.where(finite, one, 0).double() - values).abs() <= limit).all())


def _logits(model: PreTrainedModel, tokens: Tensor) -> Tensor:
    logits: Tensor = model(input_ids=tokens, **no_cache(model)).logits
    return logits


def _sound(logits: Tensor) -> bool:
    """Numbers, or minus infinity for tokens that can never come."""
    return not bool((logits.isnan() | logits.isposinf()).any()) and bool(logits.isfinite().any(-1).all())


def first_unsound(model: PreTrainedModel) -> str:
    """Name of the first module whose output is not finite though its input was."""
    names = {module: name for name, module in model.named_modules()}
    for call in record(model, probe_tokens(model, _SHORT)):
        if call.output is not None and not call.output.isfinite().all():
            return names[call.module] or type(model).__name__
    return type(model).__name__
