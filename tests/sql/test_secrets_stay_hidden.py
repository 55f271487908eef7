"""The canaries: secrets that a server is really sent, and tells back in all its answers, are found in no output.

`every_output.py` runs in a Python of its own, with twelve secrets in its environment and its keyring, against a server
that echoes them. Then all that it said, and every file that it left, is searched for each of them in each encoding.
"""

import re
import subprocess
from pathlib import Path

import pytest

from tests.fakes.canaries import AUTH, SECRETS, Run, leaks, outputs_of
from tests.fakes.echo import encoded


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    finished = Run(tmp_path_factory.mktemp("canaries"), "tests.sql.every_output")
    assert finished.process.returncode == 0, finished.process.stderr[-3000:].decode()
    return finished


SENT = sorted(SECRETS.keys() - {"proxy", "userinfo", "rotated token", "cookie", "signed", "webhook"})


@pytest.mark.parametrize("name", SENT)
def test_the_server_is_really_sent_the_secret(run: Run, name: str) -> None:
    assert any(SECRETS[name] in text for text in run.received)


def test_the_proxy_of_the_environment_is_really_asked_and_not_told_its_password(run: Run) -> None:
    assert any(text.startswith("http://outside.test/") for text in run.received)
    assert not any(SECRETS["proxy"] in text for text in run.received)


def test_every_output_is_there(run: Run) -> None:
    """So that what is not found is not merely not there."""
    texts = {name: content.decode(errors="replace") for name, content in run.outputs.items()}

    assert "***REDACTED***" in texts["stdout"]
    assert "***REDACTED***" in texts["stderr"]
    assert '"method": "GET"' in texts["stderr"]
    for kind in ("AuthError", "RequestError", "OriginError", "DecodeError", "SchemaDriftError", "PaginationError"):
        assert f"{kind}: " in texts["stdout"], kind
    assert re.search(r"could not be renewed", texts["stderr"])
    assert "CREATE VIEW view_0" in texts["stdout"]
    assert "macro_0" in texts["kept.duckdb"]
    assert sum(name.startswith("profile_") and "operator" in text for name, text in texts.items()) > 3 * len(AUTH)
    recordings = [text for name, text in texts.items() if name.startswith("recordings") and '"response"' in text]
    assert len(recordings) > 100
    assert any("body_base64" in text for text in recordings)
    assert any("***REDACTED***" in text for text in recordings)


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_found_in_no_output(run: Run, name: str) -> None:
    found = leaks({name: SECRETS[name]}, run.outputs)

    kinds = {re.sub(r"[0-9a-f]{16}|[0-9]+", "", text.partition(": b")[0]): text for text in reversed(found)}
    assert not found, f"{len(found)} leaks, one of each kind:\n" + "\n".join(sorted(kinds.values()))


@pytest.mark.parametrize("encoding", ["plain", "percent", "base64", "json"])
@pytest.mark.parametrize("name", SECRETS)
def test_a_leak_would_be_found(tmp_path: Path, name: str, encoding: str) -> None:
    (tmp_path / "leak.bin").write_bytes(b"\0before" + encoded(SECRETS[name])[encoding].encode() + b"after\xff")
    process = subprocess.CompletedProcess([], 0, b"", b"")

    found = leaks(SECRETS, outputs_of(tmp_path, process))

    assert {text.partition(" (")[0] for text in found} == {name}
