"""Where the bundled model, its task vectors, the image towers and the demonstration data lie."""

from pathlib import Path

BUNDLED = Path(__file__).parent / "bundled"
BUNDLED_MODEL = BUNDLED / "model"
BUNDLED_STORE = BUNDLED / "store"
BUNDLED_DEMO = BUNDLED / "demo"
BUNDLED_TOWERS = BUNDLED / "towers"
