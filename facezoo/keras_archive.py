"""Makes the bytes of a `.keras` file depend on the model alone, not on when it was saved."""

import json
import os
import zipfile
from pathlib import Path

_METADATA = "metadata.json"
_DATE = "date_saved"
# The earliest time that a zip file can hold.
_NO_TIME = (1980, 1, 1, 0, 0, 0)


def forget_time(path: Path) -> None:
    """Rewrites a `.keras` file without the times that Keras and zip put into it.

    Args:
        path: The file; it is replaced in one step.
    """
    path = Path(path)
    aside = path.with_name(path.name + ".partial")
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(aside, "w") as target:
        for member in sorted(source.namelist()):
            data = source.read(member)
            if member == _METADATA:
                kept = {key: value for key, value in json.loads(data).items() if key != _DATE}
                data = json.dumps(kept, sort_keys=True).encode()
            target.writestr(zipfile.ZipInfo(member, _NO_TIME), data)
    os.replace(aside, path)
