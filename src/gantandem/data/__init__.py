"""Real data: Gaussian mixtures and image sets."""
