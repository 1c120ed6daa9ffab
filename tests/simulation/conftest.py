"""Makes scenario.py importable for the tests of this folder and of incidents/."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
