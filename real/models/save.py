"""Save a pruned model so that plain ``from_pretrained`` loads it, in any process, without this package."""

from __future__ import annotations

import json
import os
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import GenerationMixin

from real.models.beside import FILE, LOADER, read_beside, write_beside
from real.models.checkpoint import quiet
from real.models.load import LanguageModel
from real.models.settings import neutral_settings
from real.structure.probe import FAILURES, first_line, probe_tokens, record, second_probe
from real.structure.substitute import installed
from theory.files import atomic_path, check_writable
from theory.outside import markdown, markdown_block, markdown_code, yaml_string
from theory.terminal.console import say

# Allowance, in units of the largest output's rounding, when a saved model is compared with memory.
ROUNDING = 64


class SaveError(ValueError):
    """A model that cannot be saved as an ordinary checkpoint, or a folder that is in the way."""


def save(lm: LanguageModel, folder: str | os.PathLike[str]) -> Path:
    """Write model, tokenizer and a model card (README.md) to ``folder``: all of it or nothing.

    Raises
    ------
    SaveError
        ``folder`` exists and is not empty, the model's configuration cannot describe its structure, or what
        was written loads as another model than the one in memory.
    """
    target = check_folder(folder)
    _check_describable(lm)
    with quiet(), atomic_path(target) as partial:
        _write_model(lm, partial)
        beside = write_beside(lm.model, partial)
        lm.tokenizer.save_pretrained(partial)
        (partial / "README.md").write_text(model_card(lm), encoding="utf-8")
        _check_reloaded(lm, partial)
    if beside:
        say(f"{FILE} is part of the model: real.load reads it, README.md says how to without this package")
    return target


def _write_model(lm: LanguageModel, folder: Path) -> None:
    """Weights in the type in which the checkpoint stores them, where that loses nothing; else as they are."""
    stored = getattr(torch, str(lm.provenance.get("stored dtype")), lm.model.dtype)
    weights = lm.model.state_dict()
    small = _cast(weights, stored)
    exact = all(torch.equal(small[name].to(tensor.dtype), tensor) for name, tensor in weights.items())
    try:
        lm.model.save_pretrained(folder, state_dict=small if exact else weights)
    except SafetensorError as error:  # how a full disk is said
        raise SaveError(f"the model cannot be written: {error}") from error
    if not exact:
        types = str(lm.model.dtype)[6:], str(stored)[6:]
        say(f"saved in {types[0]}: in {types[1]}, as they came, the new weights would be rounded")
    elif stored != lm.model.dtype:
        config = folder / "config.json"
        facts = json.loads(config.read_text("utf-8")) | {"dtype": str(stored)[6:]}
        config.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


def _cast(weights: dict[str, torch.Tensor], dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """The same tensors in another floating type; what shares memory (tied embeddings) still does."""
    made: dict[tuple[int, torch.Size], torch.Tensor] = {}
    for tensor in weights.values():
        if tensor.is_floating_point():
            made.setdefault((tensor.data_ptr(), tensor.shape), tensor.to(dtype))
    return {name: made.get((tensor.data_ptr(), tensor.shape), tensor) for name, tensor in weights.items()}


def check_folder(folder: str | os.PathLike[str]) -> Path:
    """The folder as a path, if a model can be written there."""
    target = check_writable(folder)
    if target.is_symlink() or os.path.ismount(target):
        kind = "link" if target.is_symlink() else "mount point"
        raise SaveError(f"folder {str(target)!r} is a {kind}, which a folder cannot replace; give a new one")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise SaveError(f"folder {str(target)!r} exists already and is not empty; give a new one")
    return target


def _check_describable(lm: LanguageModel) -> None:
    """Build the model its configuration describes, without memory, and compare the shapes of all weights."""
    name = type(lm.model).__name__
    try:
        config = type(lm.model.config).from_dict(lm.model.config.to_dict())
        with torch.device("meta"):
            plain = type(lm.model)(config)
    except FAILURES as error:
        raise SaveError(
            f"{name}: its configuration cannot describe the pruned structure: {first_line(error)}"
        ) from error
    wanted = {name: tensor.shape for name, tensor in plain.state_dict().items()}
    have = {name: tensor.shape for name, tensor in lm.model.state_dict().items()}
    odd = sorted(name for name in wanted.keys() | have.keys() if wanted.get(name) != have.get(name))
    if odd:
        raise SaveError(
            f"{name}: its configuration cannot describe the pruned structure "
            f"({odd[0]} does not fit), so from_pretrained could not load it"
        )


def _check_reloaded(lm: LanguageModel, folder: Path) -> None:
    """Load what was written and compare it with the model in memory: logits, and text written with a cache.

    Some models scale by the number of a layer, or choose the kind of its cache by it; without one of their
    layers they are others once they are loaded.
    """
    name, kind = type(lm.model).__name__, type(lm.model)
    try:
        again = kind.from_pretrained(
            folder,
            dtype=lm.model.dtype,
            use_safetensors=True,
            attn_implementation=lm.model.config._attn_implementation,
            device_map=getattr(lm.model, "hf_device_map", None),
        )
        again.train(False)
        read_beside(again, str(folder), name)
        if not hasattr(lm.model, "hf_device_map"):
            again.to(lm.device)  # type: ignore[arg-type]
        changed = _changed(lm.model, again)
        pairs = zip(_shown(lm.model), _shown(again), strict=True)
        different = [what for (what, one), (_, other) in pairs if not _close(one, other)]
    except (OSError, *FAILURES) as error:
        raise SaveError(f"{name}: the pruned model cannot be loaded again ({first_line(error)})") from error
    if different and changed:
        raise SaveError(f"{name}: transformers changes {changed} while it loads what was saved")
    if different:
        raise SaveError(
            f"{name}: loaded again, the pruned model gives other {different[0]} than in memory; its layers "
            "depend on their number, so the saved one would be another model"
        )


def _changed(model: Any, again: Any) -> str | None:
    """The first tensor that is not the same once it is loaded; some classes set rows of their own."""
    loaded = again.state_dict()
    for name, tensor in model.state_dict().items():
        if name in loaded and not torch.equal(tensor, loaded[name].to(tensor.device, tensor.dtype)):
            return str(name)
    return None


def _close(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Equal up to rounding: weights that lie elsewhere in memory are multiplied in another order."""
    allowance = ROUNDING * torch.finfo(one.dtype).eps * float(one.abs().max())
    return one.shape == other.shape and float((one - other).abs().max()) <= allowance


def _shown(model: Any) -> list[tuple[str, torch.Tensor]]:
    """What two equal models share: outputs on both probes, and a few tokens written with a cache."""
    probes = [probe_tokens(model), second_probe(model)]
    outputs = [record(model, tokens)[-1].output for tokens in probes]
    shown = [("logits", output) for output in outputs if output is not None]
    if isinstance(model, GenerationMixin):
        shown.append(("text", written(model, probes[0]).float()))
    return shown


def written(model: Any, tokens: torch.Tensor, new_tokens: int = 4, use_cache: bool = True) -> torch.Tensor:
    """Greedy continuation of ``tokens`` ``(1, T)``: ids ``(1, T + n)``."""
    with neutral_settings(model):
        text: torch.Tensor = model.generate(
            tokens,
            attention_mask=torch.ones_like(tokens),
            max_new_tokens=new_tokens,
            do_sample=False,
            use_cache=use_cache,
            pad_token_id=0,
            eos_token_id=None,
        )
    return text


def model_card(lm: LanguageModel) -> str:
    """Markdown: what was pruned, how, from what, with which calibration and seed."""
    pruning: dict[str, Any] = lm.provenance.get("pruning", {})
    origin = {key: value for key, value in lm.provenance.items() if key != "pruning"}
    spec = pruning.get("spec", "dense")
    base = origin.get("name", lm.name)
    rows = "\n".join(f"| {markdown(str(key))} | {markdown(str(value))} |" for key, value in origin.items())
    steps = "\n".join(f"- {_step(fact)}" for fact in pruning.get("steps", ())) or "- nothing"
    return f"""---
library_name: transformers
base_model: {yaml_string(base)}
tags: [pruned, softmax-drift]
---

# {markdown(base)}, pruned: {markdown_code(str(spec))}

{_loading(lm)}

## What was done

{steps}

Seed: {pruning.get("seed", "none")}. Dropped sublayers have an output projection of zeros, dropped blocks are
removed, zeroed and rounded weights are stored like the others: only removed blocks make it smaller.

## From

| | |
|---|---|
{rows}

Made with softmax-drift {version("softmax-drift")}. Full record:

{markdown_block(json.dumps(pruning, indent=1, default=str), "json")}
"""


_PLAIN = """An ordinary `transformers` model; no other package is needed:

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

model = AutoModelForCausalLM.from_pretrained("this-folder")
tokenizer = AutoTokenizer.from_pretrained("this-folder")
```"""


def _loading(lm: LanguageModel) -> str:
    """How to load it: plainly, or with what stands in for dropped parts and lies beside the weights."""
    if not installed(lm.model):
        return _PLAIN
    return (
        f"An ordinary `transformers` model **and `{FILE}`**, which stands in for dropped parts; without it "
        "the model is another, worse one. `real.load` reads both, and without softmax-drift this does:\n\n"
        f"```python\n{LOADER}```"
    )


def _step(fact: dict[str, Any]) -> str:
    """One line about one pruning step."""
    line = markdown_code(str(fact["step"]))
    if fact.get("dropped"):
        line += f" dropped {markdown_code(', '.join(fact['dropped']))}"
    if "sparsity" in fact:
        line += f" left {fact['sparsity']:.1%} of the pruned weights at zero"
    if "left" in fact:
        line += f"; {fact['left_share']:.1%} of the weights inside the layers were not touched"
    if "kept" in fact:
        helped = fact["held_out_kl"], fact["held_out_kl_without"]
        line += f": held-out KL {helped[0]:.3g} nats per token, without {helped[1]:.3g}"
        line += "" if fact["kept"] else "; no better, so nothing was put in"
    if "calibration" in fact:
        rows, length = fact["calibration_tokens"]
        line += f"; calibration: {markdown(str(fact['calibration']))}, {rows} x {length} tokens"
    return line
