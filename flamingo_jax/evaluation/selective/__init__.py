"""How good a model is at knowing what it knows: risk by coverage, calibration, and both as a page."""
