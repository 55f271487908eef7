"""The environment's proxy is used, but nothing that the environment holds is a credential of ours."""

import base64
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from apikit_sql.connector.protocol import PaginationConfig
from apikit_sql.engine.session import Session
from apikit_sql.engine.steps import Page
from apikit_sql.errors import ConfigError, OriginError, RequestError
from apikit_sql.plan.request_plan import RequestPlan
from tests.engine.loopback import (
    Internet,
    Loopback,
    Peer,
    answering,
    reply,
    request_of,
    send_async,
    send_sync,
    travel_async,
    travel_sync,
)
from tests.engine.taking import ids, plan_of, read

SEND = pytest.mark.parametrize("send", [send_sync, send_async])
TRAVEL = pytest.mark.parametrize("travel", [travel_sync, travel_async])
BASE = "http://api.example.test"
Sent = Callable[..., list[httpx.Response]]
Travelled = Callable[[RequestPlan], list[Page]]


def as_proxy(peer: Peer) -> None:
    """Answers for every host; behind CONNECT it is that host itself."""
    request = peer.request()
    if request.startswith(b"CONNECT "):
        peer.say(b"HTTP/1.1 200 Connection established\r\n\r\n")
        peer.start_tls()
        request = peer.request()
    while True:
        peer.say(reply(b'[{"id": 1}]', f"x-asked: {request.split()[1].decode()}"))
        request = peer.request()


@pytest.fixture
def proxy(certificate: Path) -> Iterator[Loopback]:
    with Loopback(as_proxy, certificate) as server:
        yield server


@SEND
@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_the_environments_proxy_is_asked_for_names_that_only_it_knows(
    send: Sent, variable: str, proxy: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, proxy.url)

    answers = send(request_of(f"{BASE}/a"), request_of(f"{BASE}:8080/b"), request_of(f"{BASE}/c"))

    asked = [answer.headers["x-asked"] for answer in answers]
    assert asked == [f"{BASE}/a", f"{BASE}:8080/b", f"{BASE}/c"]
    assert b"host: api.example.test\r\n" in proxy.requests[0].lower()


@SEND
@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "ALL_PROXY"])
def test_https_goes_through_a_tunnel_in_which_the_proxy_sees_nothing(
    send: Sent, variable: str, proxy: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, proxy.url)
    request = request_of("https://api.example.test/a?key=abcd")
    request.headers["authorization"] = "Bearer s3cr3t"

    (answer,) = send(request, verify=False)

    assert answer.headers["x-asked"] == "/a?key=abcd"
    assert proxy.requests[0].startswith(b"CONNECT api.example.test:443 ")
    assert b"s3cr3t" not in proxy.requests[0]
    assert b"abcd" not in proxy.requests[0]


@SEND
def test_a_certificate_is_verified_behind_a_proxy_too(
    send: Sent, proxy: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)

    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        send(request_of("https://api.example.test/a"))

    assert len(proxy.requests) == 1


@SEND
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_credentials_of_a_proxy_are_not_sent(
    send: Sent, scheme: str, proxy: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{scheme}_proxy", f"http://someone:pr0xy-p4ss@127.0.0.1:{proxy.port}")

    send(request_of(f"{scheme}://api.example.test/a"), verify=False)

    came = b"".join(proxy.requests).lower()
    assert b"proxy-authorization" not in came
    assert b"pr0xy-p4ss" not in came
    assert base64.b64encode(b"someone:pr0xy-p4ss").lower() not in came


@TRAVEL
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_wants_credentials_is_an_error_that_says_so(
    travel: Travelled, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusing = answering(lambda _: reply(b"", status="407 Proxy Authentication Required"))

    with Loopback(refusing) as proxy:
        monkeypatch.setenv(f"{scheme}_proxy", f"http://someone:pr0xy-p4ss@127.0.0.1:{proxy.port}")

        with pytest.raises(RequestError, match="407") as raised:
            travel(plan_of(base_url=f"{scheme}://api.example.test"))

    assert "pr0xy-p4ss" not in str(raised.value)


@SEND
@pytest.mark.parametrize(
    "exempt", ["api.example.test", ".example.test", "example.test", "other.test, api.example.test"]
)
def test_a_host_that_is_exempt_is_asked_itself(
    send: Sent, exempt: str, proxy: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    internet = Internet(monkeypatch)
    internet.names, internet.led_home = {"api.example.test": [["93.184.216.34"]]}, {"93.184.216.34", "127.0.0.1"}
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    monkeypatch.setenv("NO_PROXY", exempt)

    with Loopback(answering(lambda _: reply(b"itself"))) as server:
        (answer,) = send(request_of(f"{BASE}:{server.port}/a"))

    assert answer.content == b"itself"
    assert proxy.connections == 0


@SEND
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST", "127.0.0.2"])
def test_loopback_is_never_asked_of_a_proxy(
    send: Sent, host: str, proxy: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    bound = host if host[0] == "1" else "127.0.0.1"

    with Loopback(answering(lambda _: reply(b"itself")), host=bound) as server:
        (answer,) = send(request_of(f"http://{host}:{server.port}/a"))

    assert answer.content == b"itself"
    assert proxy.connections == 0


LEADING = PaginationConfig(strategy="link")


@TRAVEL
def test_a_link_to_an_allowed_origin_is_followed_through_the_proxy_that_alone_knows_both_names(
    travel: Travelled, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(request: bytes) -> bytes:
        is_first = request.startswith(b"GET http://api.")
        return reply(b'[{"id": 1}]', *["link: <http://cdn.example.test/2>; rel=next"] * is_first)

    internet = Internet(monkeypatch)
    internet.led_home = {"127.0.0.1"}
    with Loopback(answering(answer)) as server:
        monkeypatch.setenv("HTTP_PROXY", server.url)
        plan = plan_of(base_url=BASE, pagination=LEADING, allowed_origins=("http://cdn.example.test",))

        assert ids(travel(plan)) == [1, 1]

    assert [request.split()[1] for request in server.requests] == [
        b"http://api.example.test/items",
        b"http://cdn.example.test/2",
    ]


@TRAVEL
@pytest.mark.parametrize("address", ["10.0.0.7", "169.254.169.254", "[fd00:ec2::254]"])
def test_no_proxy_is_asked_for_an_address_that_the_connector_may_not_reach(
    travel: Travelled, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(_: bytes) -> bytes:
        return reply(b"[]", f"location: http://{address}/latest", status="302 Found")

    internet = Internet(monkeypatch)
    internet.names, internet.led_home = {"api.example.test": [["93.184.216.34"]]}, {"127.0.0.1"}
    with Loopback(answering(answer)) as server:
        monkeypatch.setenv("HTTP_PROXY", server.url)

        with pytest.raises(OriginError, match="is at a"):
            travel(plan_of(base_url=BASE, allowed_origins=(f"http://{address}",)))

    assert len(server.requests) == 1


@SEND
@pytest.mark.parametrize("text", ["socks5://127.0.0.1:1080", "http://", "http://127.0.0.1:port", "http://[::1"])
def test_a_proxy_that_cannot_be_used_is_told_by_an_error_of_this_package_without_its_credentials(
    send: Sent, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", text.replace("://", "://someone:pr0xy-p4ss@"))

    with pytest.raises(ConfigError) as raised:
        send(request_of(f"{BASE}/a"))

    assert "pr0xy-p4ss" not in str(raised.value)


def test_a_netrc_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login someone password n3trc-p4ss\ndefault login any password n3trc-p4ss\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(netrc))
    session = Session(http="")

    with Loopback(answering(lambda _: reply(b'[{"id": 1}]'))) as server:
        assert ids(read(session, plan_of(base_url=server.url))) == [1]
        session.close()

    assert b"authorization" not in server.requests[0].lower()


def test_the_proxy_of_a_session_is_the_environments(proxy: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    session = Session(http="")

    found = read(session, plan_of(base_url=BASE))
    session.close()

    assert ids(found) == [1]
