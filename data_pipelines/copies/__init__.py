"""Copies: of pages, of images, and of the images that a model will be evaluated on."""
