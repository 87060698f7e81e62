"""Situations that an attack searches: pairs of distributions, sequences, chains, heads, embeddings."""

from sim.attacks.worlds.pairs import DRIFT, Pairs
from sim.attacks.worlds.pairs import WORLDS as _PAIRS
from sim.attacks.worlds.sequences import Chains, Trees
from sim.attacks.worlds.spaces import Embeddings, Heads
from sim.attacks.worlds.world import Free, Given, World
from theory.formulas.claims import Claim

WORLDS: tuple[World, ...] = (
    DRIFT,
    *_PAIRS,
    Trees(3),
    Trees(2),
    Chains(),
    Heads(normed=True),
    Heads(normed=False),
    Embeddings(),
)

__all__ = ["DRIFT", "WORLDS", "Free", "Given", "Pairs", "World", "world_of"]


def world_of(claim: Claim) -> World | None:
    """The first world that gives a value to every symbol of the claim."""
    return next((world for world in WORLDS if set(claim.columns) <= world.symbols), None)
