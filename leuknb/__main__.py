"python -m leuknb: the same as the leuknb command."
import sys

from leuknb.cli import main

sys.exit(main())
