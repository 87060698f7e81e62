"""Softmax Markov chains: autoregressive worlds small enough that everything about them is known exactly."""

from sim.chains.chain import SoftmaxChain
from sim.chains.decoding import COUPLINGS, decode
from sim.chains.gallery import CHAINS
from sim.chains.sequence_tv import sequence_tv, sequence_tv_bracket

__all__ = ["CHAINS", "COUPLINGS", "SoftmaxChain", "decode", "sequence_tv", "sequence_tv_bracket"]
