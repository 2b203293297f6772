"""What the operator sees (Textual): one file a screen, its style beside it."""
