"""What stands in for dropped parts and has no place among the weights: one small file beside them.

``substitutes.safetensors`` holds ``CARRIER.bias`` and, where it is a linear map, ``CARRIER.weight``; its
metadata say for every carrier which module is read, and whether its own output is added. LOADER reads it
without this package; :func:`real.load` reads it by itself. The configuration names the carriers, so that a
file that was lost is missed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from transformers import PreTrainedModel
from transformers.utils.hub import cached_file

from real.models.checkpoint import ModelUnavailableError
from real.structure.probe import FAILURES, first_line
from real.structure.substitute import ATTRIBUTE, Substitute, install, installed

FILE = "substitutes.safetensors"
_FACTS = "substitutes"  # the key of the metadata

LOADER = """\
import json, torch
from safetensors import safe_open
from transformers import AutoModelForCausalLM

def stand_in(model, name, reader, adds, bias, weight=None):
    def read(module, args, kwargs):
        read.seen = next(x for x in (*args, *kwargs.values()) if torch.is_tensor(x) and x.is_floating_point())
    def give(module, args, y):
        x = None if weight is None else read.seen.flatten(0, -2) @ weight.to(y).T
        made = bias.to(y).expand_as(y) if x is None else (x + bias.to(y)).reshape(y.shape)
        return made + y if adds else made
    model.get_submodule(reader).register_forward_pre_hook(read, with_kwargs=True)
    model.get_submodule(name).register_forward_hook(give)

def load(folder):
    model = AutoModelForCausalLM.from_pretrained(folder)
    with safe_open(f"{folder}/substitutes.safetensors", "pt") as file:
        for name, (reader, adds) in json.loads(file.metadata()["substitutes"]).items():
            kept = [kind for kind in ("bias", "weight") if f"{name}.{kind}" in file.keys()]
            stand_in(model, name, reader, adds, **{kind: file.get_tensor(f"{name}.{kind}") for kind in kept})
    return model
"""


def write_beside(model: PreTrainedModel, folder: Path) -> bool:
    """Write what ``model`` carries into its checkpoint's folder; whether it carries anything."""
    carried = installed(model)
    if not carried:
        return False
    tensors: dict[str, torch.Tensor] = {}
    for one in carried:
        tensors[f"{one.carrier}.bias"] = one.bias.contiguous()
        if one.weight is not None:
            tensors[f"{one.carrier}.weight"] = one.weight.contiguous()
    facts = {one.carrier: (one.reader, one.adds) for one in carried}
    save_file(tensors, folder / FILE, {_FACTS: json.dumps(facts)})
    return True


def read_beside(model: PreTrainedModel, place: str, name: str) -> None:
    """Let a loaded model compute with what lies beside its checkpoint, folder or hub id, if anything does.

    Raises
    ------
    ModelUnavailableError
        The file is lost, damaged, or belongs to another model: without it the model would be another one.
    """
    wanted: list[str] = getattr(model.config, ATTRIBUTE, [])
    file = cached_file(place, FILE, _raise_exceptions_for_missing_entries=False)
    if file is None and not wanted:
        return
    if file is None:
        raise ModelUnavailableError(f"{name!r} lacks {FILE}, without which it would be another model")
    try:
        with safe_open(file, "pt") as opened:
            facts: dict[str, Any] = json.loads(opened.metadata()[_FACTS])
            keys = set(opened.keys())
            found = [_substitute(model, opened, keys, *one) for one in facts.items()]
        if sorted(facts) != sorted(wanted):
            raise ValueError("it is of another model")
        install(model, found)
    except (OSError, SafetensorError, *FAILURES) as error:
        raise ModelUnavailableError(
            f"{name!r}: {FILE}, without which it would be another model, does not fit ({first_line(error)})"
        ) from error


def _substitute(model: PreTrainedModel, opened: Any, keys: set[str], carrier: str, facts: Any) -> Substitute:
    reader, adds = facts
    bias, weight = (
        opened.get_tensor(key).to(model.dtype) if (key := f"{carrier}.{kind}") in keys else None
        for kind in ("bias", "weight")
    )
    writes: Any = model.get_submodule(carrier)
    own = getattr(writes, "weight", None)
    width = None if own is None or own.dim() != 2 else own.shape
    if bias is None or bias.dim() != 1 or (width is not None and len(bias) not in width):
        raise ValueError(f"{carrier} has no bias of its width")
    if weight is not None and (weight.dim() != 2 or len(weight) != len(bias)):
        raise ValueError(f"{carrier} has a weight of shape {tuple(weight.shape)}")
    if not bool(bias.isfinite().all()) or (weight is not None and not bool(weight.isfinite().all())):
        raise ValueError(f"{carrier} holds numbers that are not finite")
    return Substitute(carrier, str(reader), bias, weight, bool(adds))
