"""Train the toy transformer, and prune it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM

from sim.toy.tasks import Task
from theory.names import lookup

WIDTH = 64
LAYERS = 2
BATCH = 192
STEPS = 500
PEAK_RATE = 3e-3


def train(task: Task, seed: int, steps: int = STEPS) -> LlamaForCausalLM:
    """A transformer trained on both tasks half of the time each; deterministic from ``seed``, some seconds.

    Only the answer's tokens are learned: the digits of a prompt are noise.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = LlamaForCausalLM(
            LlamaConfig(
                vocab_size=task.vocabulary, hidden_size=WIDTH, intermediate_size=2 * WIDTH,
                num_hidden_layers=LAYERS, num_attention_heads=4, max_position_embeddings=4 * task.length,
                bos_token_id=None, eos_token_id=None,
            )
        )  # fmt: skip
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.AdamW(model.parameters(), lr=PEAK_RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, PEAK_RATE, total_steps=steps)
    model.train()
    for step in range(steps):
        mark = task.multiple if step % 4 else task.single
        prompts = task.prompts(BATCH, mark, generator)
        loss = -answer_log_probs(model, prompts, task.answers(prompts)).mean()
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
        schedule.step()
    model.train(False)
    return model


def answer_logits(model: nn.Module, prompts: Tensor, answers: Tensor) -> Tensor:
    """Logits before each token of the answer, teacher-forced, shape ``(count, tokens, V)``."""
    tokens = torch.cat([prompts, answers[:, :-1]], dim=1)
    logits: Tensor = model(input_ids=tokens, use_cache=False).logits
    return logits[:, prompts.shape[1] - 1 :]


def answer_log_probs(model: nn.Module, prompts: Tensor, answers: Tensor) -> Tensor:
    """Log-probability of each token of the answer given the tokens before it, ``(count, tokens)``."""
    log_probs = torch.log_softmax(answer_logits(model, prompts, answers), dim=-1)
    return log_probs.gather(-1, answers[..., None])[..., 0]


@torch.no_grad()
def sample(model: nn.Module, prompts: Tensor, tokens: int, generator: torch.Generator) -> Tensor:
    """Answers drawn at temperature 1, shape ``(count, tokens)``."""
    drawn = prompts
    for _ in range(tokens):
        probabilities = model(input_ids=drawn, use_cache=False).logits[:, -1].softmax(-1)
        drawn = torch.cat([drawn, torch.multinomial(probabilities, 1, generator=generator)], dim=1)
    return drawn[:, prompts.shape[1] :]


def _linears(model: LlamaForCausalLM) -> list[nn.Linear]:
    return [m for name, m in model.named_modules() if isinstance(m, nn.Linear) and "lm_head" not in name]


def _last_layer(model: LlamaForCausalLM) -> Any:
    return model.model.layers[-1]


def magnitude(model: LlamaForCausalLM, amount: float) -> None:
    """Set the smallest ``amount`` (a share) of each weight matrix to zero."""
    for linear in _linears(model):
        count = int(amount * linear.weight.numel())
        if count:
            threshold = linear.weight.abs().flatten().kthvalue(count).values
            linear.weight.data[linear.weight.abs() <= threshold] = 0.0


def attention(model: LlamaForCausalLM, amount: float) -> None:
    """Scale the output of the last attention sublayer by ``1 - amount``; 1 drops it."""
    _last_layer(model).self_attn.o_proj.weight.data *= 1 - amount


def mlp(model: LlamaForCausalLM, amount: float) -> None:
    """Scale the output of the last MLP sublayer by ``1 - amount``; 1 drops it."""
    _last_layer(model).mlp.down_proj.weight.data *= 1 - amount


PRUNINGS: dict[str, Callable[[LlamaForCausalLM, float], None]] = {
    f.__name__: f for f in (magnitude, attention, mlp)
}


def pruned(model: LlamaForCausalLM, pruning: str, amount: float) -> LlamaForCausalLM:
    """A pruned copy of ``model``.

    Raises
    ------
    ValueError
        If the pruning is unknown or ``amount`` is not between 0 and 1.
    """
    prune = lookup("pruning", pruning, PRUNINGS)
    if not 0 <= amount <= 1:
        raise ValueError(f"amount is {amount}; required: between 0 and 1")
    smaller = copy.deepcopy(model)
    prune(smaller, amount)
    return smaller
