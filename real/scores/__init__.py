"""How much of a task's score a variant keeps: exact where right answers are known, else a band."""
