"""Imported once by the server that workers are forked from: all imports, and every formula compiled.

Objects that exist now are frozen: the garbage collector of a worker would touch, and so copy, their pages.
"""

import gc

import torch

from sim.logits.draws import Families, draw
from sim.reducers import Tally
from sim.sweeps.held import held_claims, hold
from sim.sweeps.plan import unit_generator
from sim.sweeps.sweep import run_block as run_block

torch.set_num_threads(1)  # a process with running threads must not be forked
hold(Tally.empty(len(held_claims())), draw(unit_generator(0, 3, 0), 0, 2, 3, Families()))
gc.collect()
gc.freeze()
