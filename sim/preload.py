"""Imported once by the server that workers are forked from: everything a block of draws needs, and no more.

Objects that exist now are frozen: the garbage collector of a worker would touch, and so copy, their pages.
"""

import gc

from sim.held import held_claims
from sim.sweep import run_block as run_block

held_claims()
gc.collect()
gc.freeze()
