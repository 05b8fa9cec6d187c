"""The benchmark uses hack/'s labs; this lets the doctests here be collected with everyone else's."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2] / "hack"))
