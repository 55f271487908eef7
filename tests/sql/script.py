"""A Python of its own for one script, so that a crash is seen as a signal and a hang as a timeout."""

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).resolve().parents[2]


def run_script(text: str, *arguments: object, folder: Path, timeout: float = 40) -> subprocess.CompletedProcess[str]:
    """What `text` printed, and how it ended, run as a file in `folder`; a warning is an error there, too.

    It finds no pandas, which pyarrow would import for half of the time that a script takes.
    """
    (folder / "pandas.py").write_text('raise ImportError("pandas is not there")\n', encoding="utf-8")
    file = folder / "script.py"
    file.write_text(dedent(text), encoding="utf-8")
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "APIKIT_CONFIG_PATH": str(folder / "config.toml"),
        "PYTHONFAULTHANDLER": "1",
    }
    return subprocess.run(
        [sys.executable, str(file), *map(str, arguments)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
