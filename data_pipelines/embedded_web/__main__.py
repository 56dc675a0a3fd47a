"""Command line of the embedded web: python -m data_pipelines.embedded_web --output ROOT."""

import argparse
import sys
import time

from data_pipelines.embedded_web import Settings, generate


def main(argv: list[str] | None = None) -> int:
    """Makes the embedded web that the arguments ask for; returns the exit status."""
    defaults = Settings()
    parser = argparse.ArgumentParser(prog="python -m data_pipelines.embedded_web", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--output", required=True, help="folder to make; must not exist, or come from the same settings"
    )
    parser.add_argument("--seed", type=int, default=defaults.seed, help="decides everything (default: %(default)s)")
    parser.add_argument("--pages", type=int, default=defaults.pages, help="pages of the site (default: %(default)s)")
    parser.add_argument("--pairs", type=int, default=defaults.pairs, help="captioned pictures (default: %(default)s)")
    parser.add_argument("--clips", type=int, default=defaults.clips, help="captioned clips (default: %(default)s)")
    options = parser.parse_args(argv)
    if "://" in options.output:
        parser.error(f"--output={options.output}: the embedded web is written to a local folder; copy it from there")
    started = time.monotonic()
    try:
        settings = Settings(seed=options.seed, pages=options.pages, pairs=options.pairs, clips=options.clips)
        written = generate(options.output, settings)
    except (ValueError, OSError) as error:
        print(f"embedded web: {error}", file=sys.stderr)
        return 1
    if written:
        contents = f"{settings.pages} pages, {settings.pairs} pairs, {settings.clips} clips"
        print(f"embedded web: wrote {contents} to {options.output} in {time.monotonic() - started:.1f} s")
    else:
        print(f"embedded web: {options.output} is there already, made with the same settings; nothing to do")
    return 0


if __name__ == "__main__":
    sys.exit(main())
