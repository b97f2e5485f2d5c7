"""`python -m paretohqd`."""

import sys

from paretohqd.cli import main

if __name__ == "__main__":
    sys.exit(main())
