"""Receivers killed under load: what was acknowledged is in the table, or in the file, and nothing is there twice.

`python -m tests.reliability.webhook_kills [KILLS] [SEED]`. A receiver in a process of its own, in turns with a database
file and with a file of NDJSON, gets deliveries on several connections, some of them again and again, and is ended by
SIGKILL at a random moment. Then the file is opened by another process, and looked at: each delivery that was answered
2xx must be there, and no id twice. The next receiver goes on with the same file.
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
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import httpx

from tests.webhook.signing import SECRET, stripe

LANES = 8
INTO_A_TABLE = """
import sys, time
import duckdb, apikit_sql

con = duckdb.connect(sys.argv[1])
apikit_sql.install(con)
((_, address, _),) = con.execute(
    "CALL apikit_webhook_start('h', 'stripe', 'env:WEBHOOK_SECRET', port := 0)").fetchall()
print(address, flush=True)
time.sleep(1000)
"""
THE_TABLE = """
import json, sys
import duckdb

con = duckdb.connect(sys.argv[1])
print(json.dumps([name for (name,) in con.execute("SELECT id FROM h_events").fetchall()]))
"""
INTO_A_FILE = """
import sys, time
from apikit_sql import StripeWebhookValidator, WebhookReceiver

receiver = WebhookReceiver(0, validator=StripeWebhookValidator("env:WEBHOOK_SECRET"), output_file=sys.argv[1])
receiver.start()
print(receiver.address, flush=True)
time.sleep(1000)
"""
#: A last line that was cut off was not answered, and goes with the next start.
THE_FILE = """
import json, sys

print(json.dumps([json.loads(line)["id"] for line in open(sys.argv[1]) if line.endswith("\\n")]))
"""


@dataclass
class Kind:
    """A way to keep deliveries: what receives them into a file, and what looks at it; what it has acknowledged."""

    file: Path
    server: str
    look: str
    acknowledged: set[str] = field(default_factory=set)
    stored: set[str] = field(default_factory=set)


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


def run_until_killed(kind: Kind, run: int, seconds: float) -> set[str]:
    """The ids that were acknowledged by a receiver that lived for so many seconds."""
    environment = os.environ | {"WEBHOOK_SECRET": SECRET, "PYTHONPATH": str(Path.cwd())}
    command = [sys.executable, "-c", kind.server, str(kind.file)]
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


def look(kind: Kind, run: int) -> None:
    """Find everything that was acknowledged, once."""
    command = [sys.executable, "-c", kind.look, str(kind.file)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    names = json.loads(done.stdout)
    kind.stored = set(names)
    lost = len(kind.acknowledged - kind.stored)
    assert not lost, f"run {run}: {lost} acknowledged deliveries are lost"
    assert len(names) == len(kind.stored), f"run {run}: {len(names) - len(kind.stored)} deliveries are there twice"


def main() -> None:
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    chance = random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    with tempfile.TemporaryDirectory() as folder:
        table = Kind(Path(folder) / "file.db", INTO_A_TABLE, THE_TABLE)
        lines = Kind(Path(folder) / "file.ndjson", INTO_A_FILE, THE_FILE)
        for run in range(kills):
            kind = (table, lines)[run % 2]
            kind.acknowledged |= run_until_killed(kind, run, chance.uniform(0.05, 0.8))
            look(kind, run)
    more = sum(len(kind.stored - kind.acknowledged) for kind in (table, lines))
    print(  # noqa: T201
        f"{kills} kills: {len(table.acknowledged):,} acknowledged deliveries in a table, {len(lines.acknowledged):,} "
        f"in a file, all there, each once; {more:,} more were stored and not answered any more"
    )


if __name__ == "__main__":
    main()
