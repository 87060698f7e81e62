"""Generated text: survival, coupling, worst cases, and what samples say of them."""
