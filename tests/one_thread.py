"""One thread for this process and for all it starts; to be imported before NumPy and torch.

Tests run in parallel on all cores already, and sums in another order would change the last bits.
"""

from __future__ import annotations

import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"
