"""``python -m bench.gpu --out FOLDER``."""

from __future__ import annotations

import sys

from bench.gpu.command import main

sys.exit(main())
