"""The layers of the house: who may import whom, and that nothing imports in a circle.

A room may import from rooms on lower floors only. A new room is added to the floor above everything that it
needs; the tests say which arrow points up.
"""

from __future__ import annotations

import grimp
import networkx
import pytest

FLOORS = {
    "theory": (
        {"arrays", "names", "files", "fingerprint", "outside", "ranks", "validation"},
        {"formulas", "terminal", "effects"},
        {"drift", "instances"},
        {"sequences", "certify", "proofs"},
        {"theorems"},
        {"statements"},
        {"bounds", "command_output"},
        {"command_line"},
        {"__main__"},
    ),
    "sim": (
        {"logits", "reducers", "exact", "chains", "toy"},
        {"sweeps", "attacks", "noise"},
        {"command_line"},
        {"__main__"},
    ),
    "real": (
        {"cache", "quiet", "records", "structure"},
        {"models"},
        {"text"},
        {"pruning"},
        {"tracing", "tasks"},
        {"engines", "scores"},
        {"forecast"},
        {"search", "validation"},
        {"commands"},
        {"command_line"},
        {"__main__"},
    ),
    "paper_figs": (
        {"contents", "page", "profiles", "style", "words"},
        {"context", "explorer"},
        {"figure", "measured", "limits"},
        {"judging", "kept", "output"},
        {"gallery", "drawing"},
        {"catalogue", "runner"},
        {"report"},
        {"command_line"},
        {"__main__"},
    ),
}
MAY_IMPORT = {
    "theory": set(),
    "sim": {"theory"},
    "real": {"theory"},
    "paper_figs": {"theory", "sim", "real"},
}


@pytest.fixture(scope="module")
def arrows() -> list[tuple[str, str]]:
    """Every (importer, imported) of the project, imports inside functions and for the type checker too."""
    graph = grimp.build_graph(*FLOORS, cache_dir=None)
    return [
        (module, other)
        for module in sorted(graph.modules)
        for other in sorted(graph.find_modules_directly_imported_by(module))
    ]


def test_no_module_imports_itself_by_a_way_round(arrows: list[tuple[str, str]]) -> None:
    parts = networkx.strongly_connected_components(networkx.DiGraph(arrows))
    assert not [sorted(part) for part in parts if len(part) > 1]


def test_every_arrow_points_down(arrows: list[tuple[str, str]]) -> None:
    for module, other in arrows:
        package, room, *_ = [*module.split("."), ""]
        target, other_room, *_ = [*other.split("."), ""]
        if package != target:
            assert target in MAY_IMPORT[package], f"{module} imports {other}"
        elif room and other_room and room != other_room:
            assert _floor(package, other_room) < _floor(package, room), f"{module} imports {other}"


def test_nothing_in_theory_imports_transformers() -> None:
    graph = grimp.build_graph("theory", include_external_packages=True, cache_dir=None)
    assert "torch" in graph.modules
    assert "transformers" not in graph.modules


def _floor(package: str, room: str) -> int:
    for floor, rooms in enumerate(FLOORS[package]):
        if room in rooms:
            return floor
    raise AssertionError(f"{package}.{room} must stand on a floor of FLOORS")
