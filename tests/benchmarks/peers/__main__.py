"""Makes the peers' environments, one each: `python -m tests.benchmarks.peers FOLDER [PEER ...]`."""

import subprocess
import sys
import venv
from pathlib import Path

#: What each needs beside Python; a peer's module has its name.
REQUIREMENTS = {
    "simdjson": ("pysimdjson",),
    "requests_pandas": ("requests", "pandas", "duckdb", "pyarrow"),
    "dlt": ("dlt[duckdb]",),
    "airbyte_cdk": ("airbyte-cdk", "duckdb", "pyarrow"),
    "singer_sdk": ("singer-sdk", "duckdb", "pyarrow"),
    "ikiapikit": ("ikiapikit",),
    "httpfs": ("duckdb==1.5.*",),
}


def main() -> None:
    """Make those that are named, or all, where they are not there yet."""
    folder, names = Path(sys.argv[1]), sys.argv[2:] or REQUIREMENTS
    for name in names:
        if not (folder / name).exists():
            venv.create(folder / name, with_pip=True)
        command = [str(folder / name / "bin" / "python"), "-m", "pip", "install", "--quiet", *REQUIREMENTS[name]]
        ended = subprocess.run(command, check=False)
        sys.stdout.write(f"{name}: {'installed' if ended.returncode == 0 else 'cannot be installed here'}\n")


if __name__ == "__main__":
    main()
