"""Canaries: secrets that a process is given and a server is sent, and every form in which they could be found again."""

import base64
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from urllib.parse import quote, quote_plus

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
    "cookie": "eK6dMz3WqHb9PtG1sXoA",
    "signed": "gN2vUy8JcLf4RxT7kDwE",
    "webhook": "mB5jQe1ZaVo8IhS0rYnF",
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
    "cookie": ["cookie"],
    "signed": ["signed"],
}
OAUTH2 = 'type = "oauth2", token_url = "/token", client_id = "env:CANARY_ID"'
AUTH = {  # of a connector, as a manifest says it
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
    files = {name: content for name, content in files.items() if not name.startswith("connectors/")}
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
    """One run of a module with secrets: what it put out, and what the server was sent. Arguments: the server's origin.

    `settings` are those of more connectors, in TOML.
    """

    def __init__(
        self,
        folder: Path,
        module: str,
        settings: Mapping[str, str] = MappingProxyType({}),
        *,
        streams: str = "",
        arguments: Sequence[str] = (),
    ) -> None:
        told = {name: [SECRETS[secret] for secret in secrets] for name, secrets in TOLD.items()}
        given = (SECRETS[name] for name in ("access token", "rotated token", "userinfo"))
        with serving(EchoServer(told, *given)) as server:
            (folder / "connectors").mkdir()
            for name in [*AUTH, *settings]:
                base_url = f"{'http://outside.test' if name == 'outside' else server.origin}/{name}"
                retry = "retry = { max_attempts = 2, min_wait = 0, jitter = 0 }"
                own = f"auth = {{ {AUTH[name]} }}" if name in AUTH else settings[name]
                text = f'name = "{name}"\nbase_url = "{base_url}"\n{retry}\n{own}\n{streams}'
                (folder / "connectors" / f"{name}.toml").write_text(text)
            self.process = subprocess.run(
                [sys.executable, "-m", module, server.origin, *arguments],
                cwd=folder,
                env=environment_of(folder, server),
                capture_output=True,
                timeout=200,
                check=False,
            )
        self.outputs = outputs_of(folder, self.process)
        self.received = server.received
