"""The theorems, one folder per family, and the catalogue that finds them."""
