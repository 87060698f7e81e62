"""What a drift does elsewhere: amplification, options, retrieval, expectations."""
