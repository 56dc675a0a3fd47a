"""How sure an answer is: the evidence for it, and a rule that says "I don't know." where that is thin."""
