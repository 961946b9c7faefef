"""`python -m facezoo VERB`: the command line; `facezoo.cli` has one file per verb."""

import signal
import sys

from facezoo.cli.main import main

if __name__ == "__main__":
    # As with any filter, `.. embed *.jpg | head` ends quietly when head has read enough.
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    # A file name need not be UTF-8; it is printed as it came.
    sys.stdout.reconfigure(errors="surrogateescape")
    sys.exit(main(sys.argv[1:]))
