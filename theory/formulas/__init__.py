"""What a formula is: one expression, and everything that is generated from it."""
