"""``python -m nearsight``."""

from nearsight.cli.main import run

run()
