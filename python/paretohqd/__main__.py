"""`python -m paretohqd`."""

import sys

from paretohqd.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
