"""When and how fast: rates, windows, retries, and when it is better to stop. Pure; clocks are arguments."""
