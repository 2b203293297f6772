"""The contract that every backend keeps, and the benches it is held against."""
