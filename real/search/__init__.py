"""Which parts may go: search over sets of parts for the most that a budget of drift allows."""
