"""Compares samplers, sweeps their settings and measures what they draw."""
