"""Results of long runs that ship with the package: forecasts and outcomes, sweeps and attacks."""

from __future__ import annotations

import hashlib
import json
from importlib.resources import files
from typing import Any

import pandas as pd


def _documents(package: str, start: str) -> dict[str, Any]:
    """JSON files of ``package``'s data whose names begin with ``start``, by name."""
    folder = files(package).joinpath("data")
    if not folder.is_dir():
        return {}
    found = sorted((file.name, file) for file in folder.iterdir() if file.name.startswith(start))
    return {name: json.loads(file.read_text("utf-8")) for name, file in found if name.endswith(".json")}


def validations() -> dict[str, Any]:
    """What ``python -m real validate-texts`` found, by name of the model."""
    return {document["model"]["name"]: document for document in _documents("real", "validation_").values()}


def score_validations() -> dict[str, Any]:
    """What ``python -m real validate`` found, by name of the model."""
    return {document["model"]["name"]: document for document in _documents("real", "scores_").values()}


def score_entries() -> list[dict[str, Any]]:
    """One entry per model, spec, task and way of decoding."""
    return [
        {"model": model, "spec": record["spec"], "kl_per_token": record["kl_per_token"], **entry}
        for model, document in score_validations().items()
        for record in document["specs"]
        for entry in record["tasks"]
    ]


def comparisons() -> dict[str, Any]:
    """What ``python -m real compare`` found, by name of the model."""
    return {document["model"]["name"]: document for document in _documents("real", "compared_").values()}


def validations_digest() -> str:
    """Changes with ``validations``, so that figures of them are made anew."""
    return _digest(validations())


def scores_digest() -> str:
    """The same of ``score_validations``."""
    return _digest(score_validations())


def _digest(documents: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(documents, sort_keys=True).encode()).hexdigest()[:16]


def records(part: str) -> pd.DataFrame:
    """One table of the entries under ``part`` ("survival", "shared_noise"), all models and specs."""
    rows = [
        {"model": model, "spec": record["spec"], **entry}
        for model, document in validations().items()
        for record in document["specs"]
        for entry in record[part]
    ]
    return pd.DataFrame(rows)
