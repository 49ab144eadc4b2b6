"""`python -m pkggen`."""

import sys

from pkggen.cli import main

if __name__ == "__main__":
    sys.exit(main())
