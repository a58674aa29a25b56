"""`python -m charrnn` with no signal ignored, even if the parent process ignores some.

A shell starts background jobs with SIGINT ignored, nohup starts its command with SIGHUP ignored,
and whatever a process ignores its children ignore too.
"""

from __future__ import annotations

import os
import signal
import sys

if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    os.execv(sys.executable, [sys.executable, "-m", "charrnn", *sys.argv[1:]])
