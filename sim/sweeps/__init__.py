"""Random perturbations by the million against every theorem."""
