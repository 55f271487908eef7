"""Refresh tokens: the one that takes another's place is kept in the keyring, and found there again."""

import logging
from collections.abc import Iterator

import httpx
import keyring
import keyring.backends.fail
import keyring.errors
import pytest

from apikit_sql.connector.protocol import AuthConfig
from apikit_sql.engine.session import Session
from apikit_sql.errors import AuthError, ConfigError
from apikit_sql.secrets import KEYRING_SERVICE
from tests.engine.taking import BOTH, Take, ids, plan_of, read, take_sync
from tests.fakes.tokens import INVALID_GRANT, Client, GuardedApi, MemoryKeyring, form_of, oauth

TAKES = pytest.mark.parametrize("take", BOTH)
GIVEN = "r0"  # the refresh token that a user has


@pytest.fixture(autouse=True)
def store() -> Iterator[MemoryKeyring]:
    """A keyring of the test's own in place of the machine's."""
    before, store = keyring.get_keyring(), MemoryKeyring()
    keyring.set_keyring(store)
    yield store
    keyring.set_keyring(before)


@pytest.fixture
def _no_keyring() -> None:
    keyring.set_keyring(keyring.backends.fail.Keyring())  # type: ignore[no-untyped-call]


class ReadOnly(MemoryKeyring):
    """A keyring that is locked against writing."""

    priority = 1

    def set_password(self, service: str, username: str, password: str) -> None:
        del service, password
        raise keyring.errors.PasswordSetError(username)


def refreshing(reference: str = GIVEN, **fields: object) -> AuthConfig:
    return oauth(refresh_token=reference, **fields)


def renew(client: Client) -> None:
    """Read once the newest token is over."""
    client.clock.now += 3600
    assert client.read() == [1]


@TAKES
def test_a_refresh_token_is_what_a_token_is_asked_for_with(take: Take) -> None:
    api = GuardedApi()

    found = Client(api, take, refreshing(scopes=["a", "b"])).read()

    assert found == [1]
    assert form_of(api.asked[0]) == {"grant_type": "refresh_token", "refresh_token": GIVEN, "scope": "a b"}
    assert api.asked[0].headers["authorization"].startswith("Basic ")


def test_a_client_without_secret_tells_its_id_in_the_form() -> None:
    api = GuardedApi()
    auth = AuthConfig.model_validate(
        {"type": "oauth2", "client_id": "a:b", "token_url": "https://login.test/oauth/token", "refresh_token": GIVEN}
    )

    Client(api, take_sync, auth).read()

    assert form_of(api.asked[0]) == {"grant_type": "refresh_token", "refresh_token": GIVEN, "client_id": "a:b"}
    assert "authorization" not in api.asked[0].headers


def test_a_refresh_token_that_stays_is_used_again_and_not_stored(store: MemoryKeyring) -> None:
    api = GuardedApi()
    client = Client(api, take_sync, refreshing())
    client.read()

    renew(client)

    assert api.refreshed_with == [GIVEN, GIVEN]
    assert store.stored == {}


@TAKES
def test_a_new_refresh_token_takes_the_place_of_the_one_before(take: Take) -> None:
    api = GuardedApi(rotates=True)
    client = Client(api, take, refreshing())
    client.read()

    renew(client)
    renew(client)

    assert api.refreshed_with == ["r0", "r1", "r2"]


@TAKES
@pytest.mark.parametrize("reference", [GIVEN, "env:SHOP_REFRESH"], ids=["literal", "env"])
def test_a_new_refresh_token_is_kept_under_a_name_of_our_own(
    take: Take, reference: str, store: MemoryKeyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_REFRESH", GIVEN)
    api = GuardedApi(rotates=True)

    Client(api, take, refreshing(reference)).read()

    ((service, name),) = store.stored
    assert service == KEYRING_SERVICE
    assert store.stored == {(service, name): "r1"}
    assert "api" in name
    assert name not in {GIVEN, "SHOP_REFRESH", reference}


@pytest.mark.parametrize("reference", [GIVEN, "env:SHOP_REFRESH"], ids=["literal", "env"])
def test_a_kept_refresh_token_is_found_by_the_next_process(reference: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_REFRESH", GIVEN)
    api = GuardedApi(rotates=True)
    renew(Client(api, take_sync, refreshing(reference)))

    renew(Client(api, take_sync, refreshing(reference)))

    assert api.refreshed_with == ["r0", "r1"]


@TAKES
def test_a_refresh_token_of_the_keyring_is_kept_under_its_name(take: Take, store: MemoryKeyring) -> None:
    store.stored[KEYRING_SERVICE, "shop"] = GIVEN
    api = GuardedApi(rotates=True)

    for _ in range(2):
        renew(Client(api, take, refreshing("keyring:shop")))

    assert api.refreshed_with == ["r0", "r1"]
    assert store.stored == {(KEYRING_SERVICE, "shop"): "r2"}


@pytest.mark.parametrize("reference", [GIVEN, "keyring:shop"], ids=["literal", "keyring"])
def test_scans_of_one_session_share_a_token_when_its_refresh_token_is_new(reference: str, store: MemoryKeyring) -> None:
    store.stored[KEYRING_SERVICE, "shop"] = GIVEN
    api = GuardedApi(rotates=True)
    session = Session(transport=api.transport())

    found = [ids(read(session, plan_of(auth=refreshing(reference)))) for _ in range(3)]

    assert found == [[1], [1], [1]]
    assert api.bearers == ["t1", "t1", "t1"]
    assert api.refreshed_with == ["r0"]


def test_a_new_session_finds_the_kept_refresh_token() -> None:
    api = GuardedApi(rotates=True)

    for _ in range(3):
        session = Session(transport=api.transport())
        assert ids(read(session, plan_of(auth=refreshing()))) == [1]
        session.close()

    assert api.refreshed_with == ["r0", "r1", "r2"]


def test_a_token_that_the_user_replaces_is_used_and_not_what_had_replaced_the_old_one() -> None:
    api = GuardedApi(rotates=True)
    Client(api, take_sync, refreshing()).read()
    api.refresh_token = "granted-anew"

    Client(api, take_sync, refreshing("granted-anew")).read()

    assert api.refreshed_with == ["r0", "granted-anew"]


def test_connectors_do_not_mix_up_what_is_kept(store: MemoryKeyring) -> None:
    one, other = GuardedApi(rotates=True), GuardedApi(rotates=True)

    Client(one, take_sync, refreshing(), name="one").read()
    Client(other, take_sync, refreshing(), name="other").read()

    assert other.refreshed_with == [GIVEN]
    assert len(store.stored) == 2


def test_a_new_refresh_token_is_kept_before_the_page_is_asked_for(store: MemoryKeyring) -> None:
    kept_then: list[list[str]] = []

    def page(_: httpx.Request) -> httpx.Response:
        kept_then.append(list(store.stored.values()))
        return httpx.Response(200, json=[])

    Client(GuardedApi({"/items": page}, rotates=True), take_sync, refreshing()).read()

    assert kept_then == [["r1"]]


@TAKES
@pytest.mark.usefixtures("_no_keyring")
def test_a_machine_without_keyring_works_and_says_so(take: Take, caplog: pytest.LogCaptureFixture) -> None:
    api = GuardedApi(rotates=True)
    client = Client(api, take, refreshing())

    with caplog.at_level(logging.WARNING, logger="apikit"):
        client.read()
    renew(client)

    assert api.refreshed_with == ["r0", "r1"]
    assert "api: the server has replaced the refresh token, and there is no keyring" in caplog.text


@pytest.mark.usefixtures("_no_keyring")
def test_a_refresh_token_that_stays_needs_no_keyring(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="apikit"):
        assert Client(GuardedApi(), take_sync, refreshing()).read() == [1]

    assert caplog.records == []


@pytest.mark.usefixtures("_no_keyring")
def test_a_reference_to_a_keyring_that_is_not_there_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match="keyring:shop could not be read"):
        Client(GuardedApi(), take_sync, refreshing("keyring:shop"))


def test_a_keyring_that_cannot_be_written_works_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    locked = ReadOnly()
    locked.stored[KEYRING_SERVICE, "shop"] = GIVEN
    keyring.set_keyring(locked)
    api = GuardedApi(rotates=True)
    client = Client(api, take_sync, refreshing("keyring:shop"))

    with caplog.at_level(logging.WARNING, logger="apikit"):
        client.read()
    renew(client)

    assert api.refreshed_with == ["r0", "r1"]
    assert "keyring:shop could not be stored" in caplog.text


# --- another process


@TAKES
@pytest.mark.parametrize("reference", [GIVEN, "keyring:shop"], ids=["literal", "keyring"])
def test_what_another_process_has_kept_is_tried_when_ours_is_worth_nothing(
    take: Take, reference: str, store: MemoryKeyring
) -> None:
    store.stored[KEYRING_SERVICE, "shop"] = GIVEN
    api = GuardedApi(rotates=True)
    ours = Client(api, take, refreshing(reference))
    ours.read()
    theirs = Client(api, take, refreshing(reference))
    theirs.read()

    renew(ours)

    assert api.refreshed_with == ["r0", "r1", "r1", "r2"]
    assert set(store.stored.values()) >= {"r3"}


@TAKES
def test_a_grant_that_is_over_is_an_error(take: Take) -> None:
    api = GuardedApi(rotates=True)
    client = Client(api, take, refreshing())
    client.read()
    client.clock.now += 3600
    api.refusals.append(INVALID_GRANT)

    with pytest.raises(AuthError, match=r"api: POST .*/oauth/token answered 400: invalid_grant") as raised:
        client.read()

    assert raised.value.code == "invalid_grant"
    assert api.refreshed_with == ["r0", "r1"]


def test_what_another_process_has_kept_is_tried_once(store: MemoryKeyring) -> None:
    api = GuardedApi(rotates=True)
    client = Client(api, take_sync, refreshing())
    client.read()
    client.clock.now += 3600
    (name,) = store.stored
    store.stored[name] = "theirs"
    api.refusals.extend([INVALID_GRANT] * 5)

    with pytest.raises(AuthError, match="invalid_grant"):
        client.read()

    assert api.refreshed_with == ["r0", "r1", "theirs"]


def test_a_client_that_is_refused_looks_for_no_other_refresh_token(store: MemoryKeyring) -> None:
    api = GuardedApi(rotates=True)
    client = Client(api, take_sync, refreshing())
    client.read()
    client.clock.now += 3600
    (name,) = store.stored
    store.stored[name] = "theirs"
    api.refusals.append(httpx.Response(401, json={"error": "invalid_client"}))

    with pytest.raises(AuthError, match="invalid_client"):
        client.read()

    assert api.refreshed_with == ["r0", "r1"]
