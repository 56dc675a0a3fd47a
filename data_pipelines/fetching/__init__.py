"""Fetches the images and pages that a corpus links to, politely and safely, into a store for any worker to read."""
