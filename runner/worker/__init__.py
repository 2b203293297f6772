"""Sends what a queue of references names: one handler for a Lambda and for any number of machines."""
