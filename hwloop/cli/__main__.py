"""Entry point of ``python -m hwloop.cli``."""

import os
import sys

# `python -m` puts the working folder before the libraries: a numpy.py in it would be run instead of
# the library. Of what is imported here, all is loaded before the folder is looked into.
try:
    if (
        not sys.flags.safe_path
        and sys.path
        and os.path.realpath(sys.path[0]) == os.path.realpath(".")
    ):
        del sys.path[0]
except FileNotFoundError:  # the folder has been deleted, and holds nothing
    pass

from hwloop.cli.main import main

if __name__ == "__main__":
    main()
