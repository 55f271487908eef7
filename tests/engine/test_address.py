"""Where addresses are, and that a response leads no request to a place where its connector's own host is not."""

from collections.abc import Callable
from threading import Event

import httpx
import pytest

from apikit_sql.connector.protocol import PaginationConfig, RetryConfig
from apikit_sql.engine.address import Place, place_of
from apikit_sql.engine.drivers import adrive, drive
from apikit_sql.engine.network import AsyncNetwork, Network
from apikit_sql.engine.steps import Page
from apikit_sql.errors import OriginError, RequestError
from apikit_sql.plan.request_plan import RequestPlan
from tests.engine.loopback import (
    Internet,
    Loopback,
    answering,
    reply,
    request_of,
    send_async,
    send_sync,
    sending,
    travel_async,
    travel_sync,
)
from tests.engine.taking import ids, plan_of

PLACES: list[tuple[str, Place | None, str]] = [
    ("10.0.0.1", "private", "RFC 1918"),
    ("172.16.0.1", "private", "RFC 1918"),
    ("172.31.255.255", "private", "RFC 1918"),
    ("192.168.1.1", "private", "RFC 1918"),
    ("100.64.0.1", "private", "RFC 6598"),
    ("100.127.255.254", "private", "RFC 6598"),
    ("127.0.0.1", "loopback", "RFC 1122"),
    ("127.255.255.254", "loopback", "RFC 1122"),
    ("0.0.0.0", "loopback", "connects to this host on Linux"),  # noqa: S104 - a case
    ("0.1.2.3", "private", "RFC 6890: this network"),
    ("169.254.1.1", "link-local", "RFC 3927"),
    ("169.254.169.254", "link-local", "metadata of AWS, Azure, Google, Oracle, DigitalOcean"),
    ("169.254.170.2", "link-local", "credentials of an AWS container"),
    ("168.63.129.16", "link-local", "Azure's WireServer"),
    ("100.100.100.200", "link-local", "metadata of Alibaba"),
    ("192.0.0.8", "private", "RFC 7600 in RFC 6890's 192.0.0.0/24"),
    ("192.0.0.192", "private", "metadata of Oracle, in RFC 6890's 192.0.0.0/24"),
    ("192.0.2.1", "private", "RFC 5737"),
    ("198.18.0.1", "private", "RFC 2544"),
    ("198.51.100.1", "private", "RFC 5737"),
    ("203.0.113.1", "private", "RFC 5737"),
    ("240.0.0.1", "private", "RFC 1112"),
    ("255.255.255.255", "private", "RFC 919"),
    ("::1", "loopback", "RFC 4291"),
    ("::", "loopback", "connects to this host on Linux"),
    ("::ffff:127.0.0.1", "loopback", "RFC 4291: mapped"),
    ("::ffff:0.0.0.0", "loopback", "RFC 4291: mapped"),
    ("::ffff:10.0.0.1", "private", "RFC 4291: mapped"),
    ("::ffff:a9fe:a9fe", "link-local", "RFC 4291: mapped"),
    ("::ffff:100.100.100.200", "link-local", "RFC 4291: mapped"),
    ("::ffff:8.8.8.8", None, "RFC 4291: mapped"),
    ("64:ff9b::7f00:1", "loopback", "RFC 6052"),
    ("64:ff9b::a00:1", "private", "RFC 6052"),
    ("64:ff9b::169.254.169.254", "link-local", "RFC 6052"),
    ("64:ff9b::808:808", None, "RFC 6052"),
    ("fc00::1", "private", "RFC 4193"),
    ("fd12:3456::1", "private", "RFC 4193"),
    ("fd00:ec2::254", "link-local", "metadata of AWS"),
    ("FD00:0EC2:0:0:0:0:0:254", "link-local", "metadata of AWS, written in full"),
    ("fe80::1", "link-local", "RFC 4291"),
    ("fe80::1%eth0", "link-local", "RFC 4007"),
    ("2001:db8::1", "private", "RFC 3849"),
    ("100::1", "private", "RFC 6666"),
    ("8.8.8.8", None, "public"),
    ("93.184.216.34", None, "public"),
    ("172.32.0.1", None, "public, beside RFC 1918"),
    ("100.128.0.1", None, "public, beside RFC 6598"),
    ("169.253.255.255", None, "public, beside RFC 3927"),
    ("2606:2800:220:1:248:1893:25c8:1946", None, "public"),
]

HOME, AWAY = "http://api.example.test", "http://cdn.example.test"
PUBLIC, ALSO_PUBLIC = "93.184.216.34", "93.184.216.35"
LINKED = PaginationConfig(strategy="next_url", next_url_path="next")
TRAVEL = pytest.mark.parametrize("travel", [travel_sync, travel_async])
ONCE = RetryConfig(max_attempts=1)
Travelled = Callable[[RequestPlan], list[Page]]


@pytest.fixture(autouse=True)
def internet(monkeypatch: pytest.MonkeyPatch) -> Internet:
    return Internet(monkeypatch)


@pytest.mark.parametrize(("address", "place", "source"), PLACES, ids=[case[0] for case in PLACES])
def test_an_address_is_in_its_place(address: str, place: Place | None, source: str) -> None:
    assert place_of(address) == place, source


@pytest.mark.parametrize(
    "address",
    [
        "::127.0.0.1",  # RFC 4291: compatible, deprecated
        "::a9fe:a9fe",
        "2002:7f00:1::1",  # RFC 3056: 6to4
        "2002:a00:1::1",
        "64:ff9b:1::a00:1",  # RFC 8215: a network's own NAT64
        "fec0::1",  # RFC 3879: the private addresses of old
        "224.0.0.1",  # RFC 5771: a group of hosts
        "ff02::1",
    ],
)
def test_an_address_by_which_inner_hosts_might_be_reached_is_not_on_the_public_internet(address: str) -> None:
    assert place_of(address) is not None


# --- where a response may lead


def leads(way: str, port_of: Callable[[], int]) -> Callable[[bytes], bytes]:
    """A server for both hosts, whose first answer leads away by a link or a redirect."""

    def answer(request: bytes) -> bytes:
        target = f"{AWAY}:{port_of()}/2"
        if not request.startswith(b"GET /items "):
            return reply(b'{"items": [{"id": 2}]}')
        if way == "redirect":
            return reply(b"", f"location: {target}", status="307 Temporary Redirect")
        return reply(b'{"items": [{"id": 1}], "next": "%b"}' % target.encode())

    return answer


def lead_away(internet: Internet, way: str, travel: Travelled, home: list[list[str]], away: list[list[str]]) -> int:
    """How many requests arrive where a trip from an API at `home` is led to a name at `away`, if it may go there."""
    internet.names = {"api.example.test": home, "cdn.example.test": away}
    internet.led_home |= {each for answer in home for each in answer}
    with Loopback(answering(leads(way, lambda: server.port))) as server:
        plan = plan_of(
            base_url=f"{HOME}:{server.port}",
            pagination=LINKED,
            allowed_origins=(f"{AWAY}:{server.port}",),
            retry=ONCE,
        )
        try:
            pages = travel(plan)
        finally:
            count = len(server.requests)
        assert ids(pages)[-1] == 2
        return count


WAYS = pytest.mark.parametrize("way", ["redirect", "next link"])
INSIDE = [
    "127.0.0.1", "::1", "0.1.2.3", "10.0.0.7", "192.168.0.1", "100.64.0.1", "169.254.169.254", "100.100.100.200",
    "168.63.129.16", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "fd00:ec2::254", "fd12::1", "fe80::1",
]  # fmt: skip


@TRAVEL
@WAYS
def test_a_public_api_leads_to_another_public_host(internet: Internet, way: str, travel: Travelled) -> None:
    internet.led_home = {ALSO_PUBLIC}

    assert lead_away(internet, way, travel, [[PUBLIC]], [[ALSO_PUBLIC]]) == 2
    assert internet.dialled == [PUBLIC, ALSO_PUBLIC]


@TRAVEL
@WAYS
@pytest.mark.parametrize("inside", INSIDE)
def test_a_public_api_leads_to_no_address_inside_and_no_socket_is_opened(
    internet: Internet, way: str, inside: str, travel: Travelled
) -> None:
    internet.led_home = {inside}

    with pytest.raises(OriginError, match=r"cdn\.example\.test is at a \S+ address"):
        lead_away(internet, way, travel, [[PUBLIC]], [[inside]])

    assert internet.dialled == [PUBLIC]


@TRAVEL
@WAYS
def test_of_a_names_addresses_only_those_within_reach_are_tried(
    internet: Internet, way: str, travel: Travelled
) -> None:
    internet.led_home = {"10.0.0.7", ALSO_PUBLIC}

    assert lead_away(internet, way, travel, [[PUBLIC]], [["10.0.0.7", ALSO_PUBLIC, "::1"]]) == 2
    assert internet.dialled == [PUBLIC, ALSO_PUBLIC]


@TRAVEL
@WAYS
@pytest.mark.parametrize(
    ("home", "away", "is_reached"),
    [
        ("10.0.0.1", "192.168.0.9", True),
        ("127.0.0.1", "127.0.0.2", True),
        ("169.254.1.1", "169.254.1.2", True),
        ("10.0.0.1", PUBLIC, True),
        ("10.0.0.1", "127.0.0.1", False),
        ("10.0.0.1", "169.254.169.254", False),
        ("10.0.0.1", "100.100.100.200", False),
        ("127.0.0.1", "10.0.0.1", False),
        ("127.0.0.1", "169.254.169.254", False),
    ],
)
def test_an_api_inside_leads_to_places_such_as_its_own_only(  # noqa: PLR0917 - a table
    internet: Internet,
    way: str,
    home: str,
    away: str,
    is_reached: bool,  # noqa: FBT001 - a case of a table
    travel: Travelled,
) -> None:
    internet.led_home = {away}

    if is_reached:
        assert lead_away(internet, way, travel, [[home]], [[away]]) == 2
    else:
        with pytest.raises(OriginError, match="where the connector's own base URL is not"):
            lead_away(internet, way, travel, [[home]], [[away]])
        assert internet.dialled == [home]


@TRAVEL
@WAYS
def test_a_name_that_changes_its_address_between_look_and_connect_gains_nothing(
    internet: Internet, way: str, travel: Travelled
) -> None:
    internet.led_home = {"10.0.0.7"}

    with pytest.raises(RequestError, match="no answer"):
        lead_away(internet, way, travel, [[PUBLIC]], [[ALSO_PUBLIC], ["10.0.0.7"]])

    assert internet.dialled == [PUBLIC, ALSO_PUBLIC]


@TRAVEL
def test_a_name_that_changes_its_address_between_attempts_gains_nothing(internet: Internet, travel: Travelled) -> None:
    internet.names = {"api.example.test": [[PUBLIC]], "cdn.example.test": [[ALSO_PUBLIC], ["10.0.0.7"]]}
    internet.led_home = {PUBLIC, "10.0.0.7"}

    with Loopback(answering(leads("next link", lambda: server.port))) as server:
        plan = plan_of(base_url=f"{HOME}:{server.port}", pagination=LINKED, allowed_origins=(f"{AWAY}:{server.port}",))
        with pytest.raises(OriginError):
            travel(plan)

    assert internet.dialled == [PUBLIC, ALSO_PUBLIC]


@pytest.mark.parametrize("send", [send_sync, send_async])
def test_a_connector_always_reaches_its_own_host(internet: Internet, send: Callable[..., list[httpx.Response]]) -> None:
    internet.names, internet.led_home = {"internal.example.test": [["10.0.0.7"]]}, {"10.0.0.7"}

    with Loopback(answering(lambda _: reply(b"inside"))) as server:
        (answer,) = send(request_of(f"http://internal.example.test:{server.port}/", home="internal.example.test"))

    assert answer.content == b"inside"


def test_a_connection_that_one_connector_has_inside_serves_no_other(internet: Internet) -> None:
    internet.names = {"internal.example.test": [["10.0.0.7"]], "api.example.test": [[PUBLIC]]}
    internet.led_home = {"10.0.0.7"}

    with Loopback(answering(lambda _: reply(b"inside"))) as server, Network() as network:
        url = f"http://internal.example.test:{server.port}/"
        drive(sending(request_of(url, home="internal.example.test")), network, Event())
        with pytest.raises(OriginError):
            drive(sending(request_of(url, home="api.example.test")), network, Event())
        (again,) = drive(sending(request_of(url, home="internal.example.test")), network, Event())

    assert again.content == b"inside"
    assert (len(server.requests), server.connections) == (2, 1)


async def _asks_for_both(url: str) -> None:
    async with AsyncNetwork() as network:
        await adrive(sending(request_of(url, home="internal.example.test")), network)
        with pytest.raises(OriginError):
            await adrive(sending(request_of(url, home="api.example.test")), network)


def test_a_connection_that_one_task_has_inside_serves_no_other_connector(internet: Internet) -> None:
    import asyncio

    internet.names = {"internal.example.test": [["10.0.0.7"]], "api.example.test": [[PUBLIC]]}
    internet.led_home = {"10.0.0.7"}

    with Loopback(answering(lambda _: reply(b"inside"))) as server:
        asyncio.run(_asks_for_both(f"http://internal.example.test:{server.port}/"))

    assert len(server.requests) == 1
