"""``python -m rigdrop``: the same as the ``rigdrop`` command."""

import sys

from .cli.app import main

if __name__ == "__main__":
    sys.exit(main())
