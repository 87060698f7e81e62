"""What a theorem is, how it is verified, printed and intersected with others."""
