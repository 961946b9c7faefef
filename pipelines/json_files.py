"""Plain data as a JSON file: one form for all artifacts."""

import json
from pathlib import Path
from typing import Any


def write_json(path: Path, content: Any) -> None:
    """Writes plain data; equal data give equal bytes.

    Raises:
        ValueError: A number is not finite, which JSON cannot hold.
    """
    text = json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")
