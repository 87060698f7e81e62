"""How a step of a proof is checked, each file one way of checking."""
