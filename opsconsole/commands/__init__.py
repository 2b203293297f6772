"""The commands, each a thin face over the console. Imported one by one, when they are called."""
