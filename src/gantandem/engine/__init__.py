"""Runs samplers: the pool of lanes, preparation, the loop and its account."""
