"""Random noise: predicted means, tails and regimes against simulated ones."""
