"""Metrics of samples: of points against a known mixture, and of images by a classifier."""
