"""Python in a process of its own that is told to reach no other machine."""

from __future__ import annotations

import os
import subprocess
import sys

from paretohqd.frames import offline


def in_python(code: str, **env: str) -> subprocess.CompletedProcess[str]:
    given = {
        name: text
        for name, text in os.environ.items()
        if "proxy" not in name.lower() and name not in offline.SILENT
    }
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=600,
        env={**given, "PARETOHQD_OFFLINE": "1", **env},
    )
