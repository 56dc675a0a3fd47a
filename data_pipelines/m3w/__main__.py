"""Builds an interleaved dataset from web pages: `python -m data_pipelines.m3w --help`."""

import sys

from data_pipelines import command_line
from data_pipelines.m3w import command

if __name__ == "__main__":
    sys.exit(command_line.run(command.main))
