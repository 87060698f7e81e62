"""Arguments that several commands of ``python -m real`` take, and checks that need no model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from real.pruning.spec import names_checkpoint, parse_spec

if TYPE_CHECKING:
    from real.structure.anatomy import Overrides

Model = Annotated[
    str,
    typer.Argument(
        help="smollm2-135m, gemma3-270m, qwen2.5-coder-0.5b, a hub id, folder or *.gguf file",
        show_default=False,
    ),
]
Spec = Annotated[
    str,
    typer.Argument(
        help="attn:8, mlp:4@kl, block:[3,7], magnitude:50%, wanda:2:4, sparsegpt:4:8, int8, int4, "
        "int4@[3,7] (these layers only), attn:4+int8, and repaired: attn:8+linear, mlp:2+mean, "
        "block:[3]+scale ...",
        show_default=False,
    ),
]
_VARIANTS = typer.Argument(
    help="pruning specs (attn:4, mlp:2@kl, block:[3,7], wanda:2:4, int8, attn:4+int4 ...), other "
    "checkpoints, GGUF files, served models",
    show_default=False,
)
Variants = Annotated[list[str], _VARIANTS]
VariantsIfAny = Annotated[list[str] | None, _VARIANTS]
Specs = Annotated[
    list[str], typer.Argument(help="pruning specs: attn:4, wanda:2:4, int8 ...", show_default=False)
]
Parts = Annotated[
    str | None,
    typer.Option(
        help="Names of parts where they are not found: layers=model.layers,attention=mamba+self_attn,mlp=mlp."
    ),
]
DeviceMap = Annotated[str | None, typer.Option(help="'auto' spreads the layers over all devices.")]
Calibration = Annotated[
    str | None,
    typer.Option(
        help="Calibration text: a file, one passage per line, or 'own', what the dense model writes itself; "
        "default: shipped web text."
    ),
]
Prompts = Annotated[
    Path | None,
    typer.Option(exists=True, dir_okay=False, help="Text file, one prompt per line; default: shipped."),
]
Tokenizer = Annotated[
    str | None,
    typer.Option(
        help="Whose tokenizer a served model has (name, hub id or folder), if the server does not tell.",
        show_default=False,
    ),
]
Tasks = Annotated[
    str, typer.Option(help="Comma-separated: shipped tasks, retrieval, or names of the harness.")
]


def check_variants(variants: Sequence[str]) -> None:
    """Read every spec before a model is loaded: a typing error should cost a second, not a minute.

    Raises
    ------
    SpecError
        One is neither a spec nor the place of a checkpoint.
    """
    for variant in variants:
        if not names_checkpoint(variant):
            parse_spec(variant)


def overrides(parts: str | None) -> Overrides:
    """What ``--parts`` names, for :func:`real.load`.

    Raises
    ------
    typer.BadParameter
        It is not of the form ``layers=…,attention=…+…,mlp=…+…``.
    """
    from real.structure.anatomy import Overrides

    given: dict[str, tuple[str, ...]] = {}
    for item in (parts or "").split(",") if parts is not None else ():
        key, _, value = item.partition("=")
        names = tuple(name.strip() for name in value.split("+"))
        if key.strip() not in ("layers", "attention", "mlp") or not all(names) or key.strip() in given:
            raise typer.BadParameter(f"--parts: {item!r} is none of layers=NAME, attention=NAME, mlp=NAME")
        given[key.strip()] = names
    layers = "+".join(given["layers"]) if "layers" in given else None
    return Overrides(layers, given.get("attention"), given.get("mlp"))


def calibration_text(given: str | None) -> list[str] | Literal["own"] | None:
    """What ``--calibration`` names, for :func:`real.prune` and all that prune; a file ``own`` is ``./own``.

    Raises
    ------
    typer.BadParameter
        There is no such file.
    """
    from real.text.files import read_lines

    if given is None or given == "own":
        return "own" if given else None
    if not Path(given).is_file():
        raise typer.BadParameter(f"--calibration: {given!r} is neither 'own' nor a text file")
    return read_lines(Path(given))


def place(device: str, device_map: str | None) -> str:
    """The device that :func:`real.load` takes."""
    if device_map not in (None, "auto"):
        raise ValueError(f"--device-map must be 'auto', got {device_map!r}")
    return device_map or device
