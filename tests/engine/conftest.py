"""What tests of sockets share: no proxy of the machine's, and a certificate that nobody vouches for."""

from pathlib import Path

import pytest

from tests.engine.loopback import CERTIFICATE, PROXY_VARIABLES


@pytest.fixture(autouse=True)
def _no_proxy_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A self-signed certificate and its key, in one file."""
    file = tmp_path / "certificate.pem"
    file.write_text(CERTIFICATE)
    return file
