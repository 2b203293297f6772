"""The send itself: the claim, the engine, its control and its progress."""
