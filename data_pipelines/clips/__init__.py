"""Pieces of videos as files of their own."""
