"""Receivers killed under load: what was acknowledged is in the table, and nothing is there twice.

`python -m tests.reliability.webhook_kills [KILLS] [SEED]`. A receiver in a process of its own, with a database file,
gets deliveries on several connections, some of them again and again, and is ended by SIGKILL at a random moment. Then
the file is opened by another process, and looked at: each delivery that was answered 2xx must be there, and no id
twice. The next receiver goes on with the same file.
"""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from itertools import count
from pathlib import Path

import httpx

from tests.webhook.signing import SECRET, stripe

LANES = 8
SERVER = """
import sys, time
import duckdb, apikit_sql

con = duckdb.connect(sys.argv[1])
apikit_sql.install(con)
((_, address, _),) = con.execute(
    "CALL apikit_webhook_start('h', 'stripe', 'env:WEBHOOK_SECRET', port := 0)").fetchall()
print(address, flush=True)
time.sleep(1000)
"""
LOOK = """
import json, sys
import duckdb

con = duckdb.connect(sys.argv[1])
print(json.dumps(con.execute("SELECT count(*), list(DISTINCT id) FROM h_events").fetchall()[0]))
"""


class Sender(threading.Thread):
    """Sends deliveries one after the other until nobody answers; each tenth is one that was sent before."""

    def __init__(self, address: str, name: str) -> None:
        super().__init__(daemon=True)
        self.address, self.lane = address, name
        self.acknowledged: list[str] = []

    def run(self) -> None:
        with httpx.Client(trust_env=False) as client:
            for number in count():
                name = f"evt_{self.lane}_{number - (number % 10 == 9)}"
                body = json.dumps({"id": name, "data": "x" * 900}).encode()
                try:
                    answer = client.post(self.address, content=body, headers=stripe(body))
                except httpx.HTTPError:
                    return
                if answer.status_code == 200:
                    self.acknowledged.append(name)


def run_until_killed(file: Path, run: int, seconds: float) -> set[str]:
    """The ids that were acknowledged by a receiver that lived for so many seconds."""
    environment = os.environ | {"WEBHOOK_SECRET": SECRET, "PYTHONPATH": str(Path.cwd())}
    command = [sys.executable, "-c", SERVER, str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as server:
        assert server.stdout is not None
        address = server.stdout.readline().strip()
        senders = [Sender(address, f"{run}_{lane}") for lane in range(LANES)]
        for sender in senders:
            sender.start()
        time.sleep(seconds)
        server.send_signal(signal.SIGKILL)
        for sender in senders:
            sender.join()
    return {name for sender in senders for name in sender.acknowledged}


def main() -> None:
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    chance = random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    acknowledged: set[str] = set()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "file.db"
        for run in range(kills):
            acknowledged |= run_until_killed(file, run, chance.uniform(0.05, 0.8))
            look = subprocess.run([sys.executable, "-c", LOOK, str(file)], capture_output=True, text=True, check=True)
            rows, names = json.loads(look.stdout)
            stored = set(names or [])
            assert acknowledged <= stored, f"run {run}: {len(acknowledged - stored)} acknowledged deliveries are lost"
            assert rows == len(stored), f"run {run}: {rows - len(stored)} deliveries are there twice"
    print(  # noqa: T201
        f"{kills} kills: {len(acknowledged):,} acknowledged deliveries, all there, each once; "
        f"{len(stored) - len(acknowledged):,} more were stored and not answered any more"
    )


if __name__ == "__main__":
    main()
