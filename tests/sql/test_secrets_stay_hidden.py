"""The canaries: secrets that a server is really sent, and tells back in all its answers, are found in no output.

`every_output.py` runs in a Python of its own, with twelve secrets in its environment and its keyring, against a server
that echoes them. Then all that it said, and every file that it left, is searched for each of them in each encoding.
"""

import base64
import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from tests.fakes.echo import EchoServer, encoded, serving

ROOT = Path(__file__).resolve().parents[2]
LEAST = 12  # characters of a secret that are one leak as well as the whole

#: The secrets, each where it is planted; they have nothing in common, so that a part of one tells which it was.
SECRETS = {
    "bearer": "bQ7xLw2RkzT9vYp4Hn6C",
    "header": "hJ3mXs8UdGe5ZaN1oWfK",
    "query": "qV6tBi0PyRc4ElM7uSjD",
    "basic": "pF2wKz9AnXh8TgO3vLrY",
    "client secret": "cU5eNb1JqMd7SxI6yPaG",
    "refresh token": "rC8hVo4ZfWk2RtL0mEuB",
    "access token": "aT1gDy7QjHs9NpX5cOiV",
    "rotated token": "oX4nGw6KlBe3YzF8dUqM",
    "keyring": "kM9rSi5CtAv0JhP2xEbZ",
    "proxy": "xL3yOu8FgNd6WqK1aRmT",
    "install": "iH7cPj2VsEz4QbX9nUkG",
    "awkward": "w\"Z\\5ü/R+%k é&s=2'<N#8",
    "userinfo": "uY0fTa6MoJw1CxD3iSlB",
}
#: What each connector is sent, and its server tells back.
TOLD = {
    "bearer": ["bearer"],
    "header": ["header"],
    "query": ["query"],
    "basic": ["basic"],
    "oauth": ["client secret", "access token", "client secret"],
    "refresh": ["refresh token", "rotated token", "access token"],
    "keyring": ["keyring"],
    "awkward": ["awkward"],
    "awkward_basic": ["awkward"],
    "outside": ["bearer"],
    "adhoc": ["install"],
}
OAUTH2 = 'type = "oauth2", token_url = "/token", client_id = "env:CANARY_ID"'
AUTH = {
    "bearer": 'type = "bearer", token = "env:CANARY_BEARER"',
    "header": 'type = "apikey", api_key = "env:CANARY_HEADER"',
    "query": 'type = "apikey", api_key = "env:CANARY_QUERY", api_key_query_param = "appid"',
    "basic": 'type = "basic", username = "anna", password = "env:CANARY_BASIC"',
    "oauth": f'{OAUTH2}, client_secret = "env:CANARY_CLIENT_SECRET"',
    "refresh": f'{OAUTH2}, refresh_token = "env:CANARY_REFRESH_TOKEN"',
    "keyring": 'type = "bearer", token = "keyring:canary"',
    "awkward": 'type = "apikey", api_key = "env:CANARY_AWKWARD", api_key_query_param = "appid"',
    "awkward_basic": 'type = "basic", username = "anna", password = "env:CANARY_AWKWARD"',
    "outside": 'type = "bearer", token = "env:CANARY_BEARER"',
}


def needles(secret: str) -> dict[str, set[str]]:
    """What must not be found of a secret, by encoding: the whole, and a part of it as long as `LEAST`."""
    texts = {name: {text} for name, text in encoded(secret).items()}
    texts["percent"] |= {quote(secret), quote_plus(secret), quote(secret, safe="").lower()}
    texts["json"] |= {encoded(secret)["json"].replace("/", r"\/"), secret.replace("\\", r"\\").replace('"', r"\"")}
    data = secret.encode()
    texts["base64"] = {  # wherever it begins within three bytes: only the characters that it alone decides
        base64.b64encode(bytes(before) + data).decode()[first : (before + len(data)) * 8 // 6]
        for before, first in ((0, 0), (1, 2), (2, 3))
    }
    texts["base64"] |= {base64.b64encode(text.encode()).decode().rstrip("=")[:-1] for text in texts["percent"]}
    return {name: {part for text in each for part in (text[:LEAST], text[-LEAST:])} for name, each in texts.items()}


def leaks(secrets: dict[str, str], outputs: dict[str, bytes]) -> list[str]:
    """Where a secret is found, in which encoding, and what stands around it."""
    found: dict[tuple[str, int], str] = {}
    for name, secret in secrets.items():
        for encoding, parts in needles(secret).items():
            for output, content in outputs.items():
                for at in {content.find(part.encode()) for part in parts} - {-1}:
                    around = content[max(0, at - 90) : at + 40]
                    found.setdefault((output, at), f"{name} ({encoding}) in {output}: {around!r}")
    return sorted(found.values())


def outputs_of(folder: Path, process: subprocess.CompletedProcess[bytes]) -> dict[str, bytes]:
    files = {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    names = {f"the name {name}": name.encode() for name in files}
    return {**files, **names, "stdout": process.stdout, "stderr": process.stderr}


def environment_of(folder: Path, server: EchoServer) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    secrets = {f"CANARY_{name.upper().replace(' ', '_')}": secret for name, secret in SECRETS.items()}
    proxy = server.origin.replace("//", f"//someone:{SECRETS['proxy']}@")
    return kept | {
        "PYTHONPATH": str(ROOT),
        "PYTHONUTF8": "1",
        "APIKIT_CONFIG_PATH": str(folder / "config.toml"),
        "APIKIT_LOG_LEVEL": "debug",
        "CANARY_ID": "anna",
        "APIKIT_HTTP": f"record:{folder / 'recordings'}",
        "API_BASE_URL": server.origin.replace("//", f"//someone:{SECRETS['userinfo']}@"),
        "http_proxy": proxy,
        "all_proxy": proxy,
        **{name: secret for name, secret in secrets.items() if name not in {"CANARY_PROXY", "CANARY_ACCESS_TOKEN"}},
    }


class Run:
    """One run of `every_output.py`: what it put out, and what the server was sent."""

    def __init__(self, folder: Path) -> None:
        told = {name: [SECRETS[secret] for secret in secrets] for name, secrets in TOLD.items()}
        given = (SECRETS[name] for name in ("access token", "rotated token", "userinfo"))
        with serving(EchoServer(told, *given)) as server:
            (folder / "connectors").mkdir()
            for name, auth in AUTH.items():
                base_url = f"{'http://outside.test' if name == 'outside' else server.origin}/{name}"
                retry = "retry = { max_attempts = 2, min_wait = 0, jitter = 0 }"
                text = f'name = "{name}"\nbase_url = "{base_url}"\n{retry}\nauth = {{ {auth} }}\n'
                (folder / "connectors" / f"{name}.toml").write_text(text)
            self.process = subprocess.run(
                [sys.executable, "-m", "tests.sql.every_output", server.origin],
                cwd=folder,
                env=environment_of(folder, server),
                capture_output=True,
                timeout=100,
                check=False,
            )
        self.outputs = outputs_of(folder, self.process)
        self.received = server.received


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    finished = Run(tmp_path_factory.mktemp("canaries"))
    assert finished.process.returncode == 0, finished.process.stderr[-3000:].decode()
    return finished


SENT = sorted(SECRETS.keys() - {"proxy", "userinfo", "rotated token"})


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
