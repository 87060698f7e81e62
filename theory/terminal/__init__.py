"""What every command line shares: how it ends, its options, its console, its progress, its files."""
