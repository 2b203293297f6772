"""Figures as ratios, each measured side by side with its reference in one run. `make bench` prints them all."""
