"""One module for each figure or family of figures; ``paper_figs.catalogue`` lists them."""
