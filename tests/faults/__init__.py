"""Faults caused on purpose: each suite counts those that really fired."""
