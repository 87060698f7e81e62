"""One cache for the tests of a module, so that what one of them compared is known to the others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The cache that is set while the module's tests run."""
    place = tmp_path_factory.mktemp("validation")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTMAX_DRIFT_CACHE", str(place))
        yield place
