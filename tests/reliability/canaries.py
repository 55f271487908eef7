"""Secrets in every feature: a process is given them, a server tells them back, and nothing that is left has them.

`python -m tests.reliability.canaries`. `every_feature.py` runs in a Python of its own and a folder of its own. Then all
that it said, and each file and file name that it left (the database, exports, profiles, recordings, pickles, logs), is
searched for each secret as it is, percent-encoded, JSON-escaped and in Base64, whole and in part.
"""

import re
import sys
import tempfile
from pathlib import Path

from tests.fakes.canaries import SECRETS, Run, leaks

_STREAMS = """
[streams.things]
path = "/ok"
columns = { id = "BIGINT" }
[streams.wrong]
path = "/body/0"
columns = { id = "BIGINT" }
[streams.keyed]
path = "/{n}"
columns = { id = "BIGINT" }
key_columns = [{ column = "n", path = "n", required = true }]
"""
SETTINGS = {
    "cookie": 'auth = { type = "apikey", api_key = "env:CANARY_COOKIE", api_key_header = "Cookie" }',
    "signed": 'auth = { type = "apikey", api_key = "env:CANARY_SIGNED", api_key_query_param = "X-Amz-Signature" }',
}


def made(folder: Path, *connectors: str) -> Run:
    """A run of every feature in `folder`, with these connectors, or with all."""
    return Run(folder, "tests.reliability.every_feature", SETTINGS, streams=_STREAMS, arguments=connectors)


def kinds(run: Run) -> list[str]:
    """Each leak, those that differ by numbers alone once."""
    found = {re.sub(r"[0-9a-f]{16}|[0-9]+", "", text.partition(": b")[0]): text for text in leaks(SECRETS, run.outputs)}
    return sorted(found.values())


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        run = made(Path(folder))
        if run.process.returncode:
            sys.exit(run.process.stderr.decode()[-3000:])
        sent = sum(any(secret in text for text in run.received) for secret in SECRETS.values())
        size = sum(map(len, run.outputs.values()))
        found = kinds(run)
        print(  # noqa: T201
            f"{len(SECRETS)} secrets, {sent} of them sent in {len(run.received):,} requests; {len(run.outputs)} files, "
            f"names and streams, {size:,} bytes: {len(found)} leaks"
        )
        sys.exit("\n".join(found) or None)


if __name__ == "__main__":
    main()
