"""Scores and ratios, the laws that they are kept by, and how one is looked up."""
