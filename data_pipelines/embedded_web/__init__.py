"""The embedded web: a small web site, captioned pictures and captioned clips, drawn by the program from a seed.

It gives the real dataset builders something to read where there is no network, with the ground truth beside it:

    python -m data_pipelines.embedded_web --output ROOT

`ROOT/site/` is what a crawler would bring home (pages in four designs, boilerplate, trackers, banners, broken links,
odd encodings), `ROOT/pairs/` holds pictures with a `.txt` beside each, `ROOT/clips/` a `clips.json` and its mp4 files,
and `ROOT/truth.json` says what every picture shows and which items, in which order, a builder should take from every
page.
"""

from data_pipelines.embedded_web.generation import Settings, generate

__all__ = ["Settings", "generate"]
