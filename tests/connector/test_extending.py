"""Connectors that extend others: what is joined, what is replaced, and several accounts of one API at once."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from apikit_sql.connector.config import config_file
from apikit_sql.connector.extending import extended
from apikit_sql.connector.manifest import ConnectorDefinition
from apikit_sql.connector.protocol import AuthConfig
from apikit_sql.connector.registry import ConnectorRegistry
from apikit_sql.engine.session import Session
from apikit_sql.errors import ConfigError, ConnectorNotFoundError
from tests.fakes.api import FakeApi

Rows = Callable[[str], list[tuple[object, ...]]]

#: A connector in full: an API with a table of everything that can be extended.
BASE = """
[connectors.base]
base_url = "https://base.test"
auth = { type = "apikey", api_key = "env:BASE_KEY", api_key_header = "X-Key" }
headers = { Accept = "application/json", X-Version = "1" }
pagination = { strategy = "page", page_param = "page", limit_param = "limit", page_size = 50 }
read_posts = ["/search", "/query"]
retry = { max_attempts = 5, min_wait = 2 }

[connectors.base.streams.items]
path = "/items"
data_path = "items"
columns = { id = "BIGINT", state = "VARCHAR" }
params = { sort = "id" }

[connectors.base.streams.users]
path = "/users"
"""


@pytest.fixture(autouse=True)
def _nothing_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ConnectorRegistry, "_registered", {})


def declare(text: str) -> Path:
    """The user's config file, which says `text`."""
    file = config_file()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def extending(text: str) -> ConnectorDefinition:
    """The connector `mine`, which extends `base` and says `text`."""
    declare(BASE + f'\n[connectors.mine]\nextends = "base"\n{text}\n')
    return ConnectorRegistry().get("mine")


def base() -> ConnectorDefinition:
    declare(BASE)
    return ConnectorRegistry().get("base")


# --- what it extends


def test_an_entry_that_says_nothing_more_is_its_base_under_another_name() -> None:
    assert extending("") == base().model_copy(update={"name": "mine"})


def test_a_built_in_connector_is_extended() -> None:
    declare('[connectors.work]\nextends = "github"\nauth.token = "env:WORK_TOKEN"\n')

    work, github = ConnectorRegistry().get("work"), ConnectorRegistry().get("github")

    assert work.auth == github.auth.model_copy(update={"token": SecretStr("env:WORK_TOKEN"), "optional": False})
    assert work == github.model_copy(update={"name": "work", "auth": work.auth})


def test_an_entry_of_the_name_that_it_extends_takes_its_place() -> None:
    plain = ConnectorRegistry().get("github")

    declare('[connectors.github]\nextends = "github"\ntimeout = 7\n[connectors.work]\nextends = "github"\n')

    registry = ConnectorRegistry()
    assert registry.get("github") == plain.model_copy(update={"timeout": 7})
    assert registry.get("work") == plain.model_copy(update={"timeout": 7, "name": "work"})


def test_each_place_of_one_name_can_extend_the_next(tmp_path: Path) -> None:
    declare('[connectors.github]\nextends = "github"\nconcurrency = 2\n')
    folder = config_file().parent / "connectors"
    folder.mkdir()
    (folder / "github.toml").write_text('extends = "github"\ntimeout = 7\n', encoding="utf-8")
    file = tmp_path / "any.toml"
    file.write_text('name = "github"\nextends = "github"\nverify_ssl = false\n', encoding="utf-8")
    registry = ConnectorRegistry()

    registry.add_file(file)

    found = registry.get("github")
    assert (found.verify_ssl, found.concurrency, found.timeout) == (False, 2, 7)
    assert "issues" in found.streams


def test_a_file_given_by_path_extends_the_built_in_connector_whose_name_it_takes(tmp_path: Path) -> None:
    file = tmp_path / "any.toml"
    file.write_text('name = "github"\nextends = "github"\ntimeout = 7\n', encoding="utf-8")
    registry = ConnectorRegistry()

    registry.add_file(file)

    assert registry.get("github") == ConnectorRegistry().get("github").model_copy(update={"timeout": 7})


def test_a_file_given_by_path_that_names_itself_nowhere_is_called_like_its_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('extends = "github"\ntimeout = 7\n', encoding="utf-8")

    registry = ConnectorRegistry()
    name = registry.add_file(file)

    assert (name, registry.get("mine").timeout) == ("mine", 7)


def test_a_chain_is_joined_from_its_end() -> None:
    declare(
        BASE
        + '[connectors.b]\nextends = "base"\ntimeout = 2\nconcurrency = 2\n'
        + '[connectors.c]\nextends = "b"\nconcurrency = 3\n'
    )

    found = ConnectorRegistry().get("c")

    assert found == base().model_copy(update={"name": "c", "timeout": 2, "concurrency": 3})


def test_a_registered_connector_is_extended_with_its_secret() -> None:
    auth = AuthConfig(type="bearer", token=SecretStr("s3cret"))
    ConnectorRegistry.register(lambda: ConnectorDefinition(name="acme", base_url="https://acme.test", auth=auth))

    declare('[connectors.slow]\nextends = "acme"\ntimeout = 90\n')

    found = ConnectorRegistry().get("slow")
    assert (found.auth, found.timeout) == (auth, 90)


def test_the_connector_of_the_environment_is_extended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_BASE_URL", "https://env.test")

    declare('[connectors.slow]\nextends = "env"\ntimeout = 90\n')

    found = ConnectorRegistry().get("slow")
    assert (found.base_url, found.timeout) == ("https://env.test", 90)


def test_the_demo_is_extended_with_its_server() -> None:
    declare('[connectors.mine]\nextends = "demo"\ntimeout = 7\n')

    with closing(Session(connectors=ConnectorRegistry())) as session:
        found = session.connector("mine"), session.connector("demo")

    assert found[0].base_url == found[1].base_url


@pytest.mark.parametrize(
    ("text", "asked", "chain"),
    [
        ('[connectors.a]\nextends = "b"\n[connectors.b]\nextends = "a"\n', "a", "a -> b -> a"),
        ('[connectors.a]\nextends = "b"\n[connectors.b]\nextends = "a"\n', "b", "b -> a -> b"),
        (
            '[connectors.a]\nextends = "b"\n[connectors.b]\nextends = "c"\n[connectors.c]\nextends = "b"\n',
            "a",
            "a -> b -> c -> b",
        ),
        ('[connectors.github]\nextends = "a"\n[connectors.a]\nextends = "github"\n', "a", "a -> github -> a"),
    ],
)
def test_a_circle_is_told_with_its_chain(text: str, asked: str, chain: str) -> None:
    file = declare(text)

    with pytest.raises(ConfigError) as caught:
        ConnectorRegistry().get(asked)

    assert str(file) in str(caught.value)
    assert f"extends itself: {chain}." in str(caught.value)


def test_an_unknown_base_is_told_with_near_ones_and_who_wants_it() -> None:
    file = declare('[connectors.a]\nextends = "githb"\n')

    with pytest.raises(ConnectorNotFoundError) as caught:
        ConnectorRegistry().get("a")

    assert f"{file} [connectors.a] extends 'githb'" in str(caught.value)
    assert "Did you mean github?" in str(caught.value)


def test_an_entry_that_extends_its_own_name_alone_is_not_told_that_it_meant_itself() -> None:
    declare('[connectors.acme]\nextends = "acme"\n')

    with pytest.raises(ConfigError, match="extends 'acme'") as caught:
        ConnectorRegistry().get("acme")

    assert "Did you mean acme" not in str(caught.value)


@pytest.mark.parametrize("value", ["5", '["github"]', '""', "{ name = 'github' }"])
def test_a_base_that_is_no_name_is_a_config_error(value: str) -> None:
    file = declare(f"[connectors.a]\nextends = {value}\n")

    with pytest.raises(ConfigError, match=rf"{file} \[connectors\.a\]"):
        ConnectorRegistry().get("a")


# --- what is joined


def test_tables_are_joined_key_by_key() -> None:
    found = extending('headers.X-Version = "2"\nretry.max_attempts = 1\nstreams.items.params = { per = 5 }')

    assert found.headers == {"Accept": "application/json", "X-Version": "2"}
    assert (found.retry.max_attempts, found.retry.min_wait) == (1, 2)
    assert found.streams["items"].params == {"sort": "id", "per": 5}
    assert found.streams["users"] == base().streams["users"]


def test_lists_are_replaced() -> None:
    assert extending('read_posts = ["/mine"]').read_posts == ("/mine",)


def test_a_stream_is_added_beside_those_of_the_base() -> None:
    found = extending('streams.more = { path = "/more" }')

    assert list(found.streams) == ["items", "users", "more"]


def test_a_stream_with_a_path_of_its_own_takes_the_place_of_the_other() -> None:
    found = extending('streams.items = { path = "/v2/items" }').streams["items"]

    assert (found.path, found.data_path, dict(found.columns), found.params) == ("/v2/items", None, {}, {})


def test_pagination_of_another_strategy_keeps_nothing_of_the_other() -> None:
    found = extending('pagination.strategy = "link"').pagination

    assert (found.strategy, found.page_param, found.limit_param, found.page_size) == ("link", None, None, None)


def test_pagination_of_the_same_strategy_is_joined() -> None:
    found = extending("pagination.page_size = 10").pagination

    assert (found.strategy, found.page_param, found.page_size) == ("page", "page", 10)


@pytest.mark.parametrize(
    ("auth", "wanted"),
    [
        ('{ type = "bearer", token = "env:T" }', AuthConfig(type="bearer", token=SecretStr("env:T"))),
        ('{ type = "none" }', AuthConfig()),
        (
            '{ api_key = "env:MINE" }',
            AuthConfig(type="apikey", api_key=SecretStr("env:MINE"), api_key_header="X-Key"),
        ),
        ('{ type = "apikey", api_key = "env:MINE" }', AuthConfig(type="apikey", api_key=SecretStr("env:MINE"))),
    ],
)
def test_auth_of_a_kind_of_its_own_keeps_no_field_of_the_other(auth: str, wanted: AuthConfig) -> None:
    assert extending(f"auth = {auth}").auth == wanted


@pytest.mark.parametrize("name", ["type", "path", "strategy"])
def test_names_that_a_user_chooses_are_joined_whatever_they_are(name: str) -> None:
    found = extending(
        f'headers.{name} = "x"\nstreams.items.columns.{name} = "VARCHAR"\nstreams.items.params.{name} = "x"\n'
        f'streams.{name} = {{ path = "/x" }}\n'
    )

    assert list(found.headers) == ["Accept", "X-Version", name]
    assert list(found.streams) == ["items", "users", name]
    assert list(found.streams["items"].columns) == ["id", "state", name]
    assert found.streams["items"].params == {"sort": "id", name: "x"}


def test_what_is_wrong_with_the_whole_is_told_with_the_place_of_the_entry() -> None:
    file = declare(BASE + '[connectors.mine]\nextends = "base"\nstreams.items.columns.id = "WIBBLE"\n')

    with pytest.raises(ConfigError) as caught:
        ConnectorRegistry().get("mine")

    assert f"{file} [connectors.mine]" in str(caught.value)
    assert "streams.items.columns.id.type: 'WIBBLE'" in str(caught.value)


TABLES = st.recursive(
    st.integers() | st.lists(st.integers(), max_size=2),
    lambda values: st.dictionaries(st.sampled_from("abcd"), values, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from("abcd"), TABLES), st.dictionaries(st.sampled_from("abcd"), TABLES))
def test_what_is_above_wins_and_what_it_does_not_say_stays(below: dict[str, Any], above: dict[str, Any]) -> None:
    joined = extended(below, above)

    assert extended(joined, above) == joined
    assert extended(below, {}) == below
    assert extended({}, above) == above
    for key in below.keys() | above.keys():
        each = [side[key] for side in (below, above) if key in side]
        tables = all(isinstance(value, dict) for value in each)
        assert joined[key] == (extended(each[0], each[-1]) if tables else each[-1])


# --- several accounts at once


def whose(request: httpx.Request) -> httpx.Response:
    """The login of the token that was sent."""
    login = {"Bearer t0ken-of-ann": "ann", "Bearer t0ken-of-bob": "bob"}.get(request.headers.get("authorization", ""))
    return httpx.Response(200, json=[{"login": login, "host": request.url.host}])


@pytest.fixture
def _two_accounts(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ann", "bob"):
        monkeypatch.setenv(f"TOKEN_OF_{name.upper()}", f"t0ken-of-{name}")
    monkeypatch.setenv("GITHUB_TOKEN", "t0ken-of-nobody")
    entry = '[connectors.gh_{0}]\nextends = "github"\nauth.token = "env:TOKEN_OF_{1}"\n'
    declare("".join(entry.format(name, name.upper()) for name in ("ann", "bob")))
    api.routes["/user/emails"] = whose


@pytest.mark.usefixtures("_two_accounts")
def test_two_accounts_of_one_api_are_asked_in_one_statement_each_with_its_own_token(rows: Rows) -> None:
    statement = " UNION ALL ".join(f"SELECT login FROM apikit('gh_{name}', '/user/emails')" for name in ("ann", "bob"))

    found = [sorted(rows(statement)) for _ in range(2)]

    assert found == [[("ann",), ("bob",)]] * 2


@pytest.mark.usefixtures("_two_accounts")
def test_a_page_that_was_read_for_one_account_never_serves_another(rows: Rows, api: FakeApi) -> None:
    rows("DESCRIBE FROM apikit('gh_ann', '/user/emails')")

    found = rows("SELECT login FROM apikit('gh_bob', '/user/emails')")

    assert found == [("bob",)]
    assert [request.headers["authorization"] for request in api.seen] == ["Bearer t0ken-of-ann", "Bearer t0ken-of-bob"]


@pytest.mark.usefixtures("_two_accounts")
def test_a_limit_that_one_account_has_used_up_does_not_hold_up_the_other(rows: Rows, api: FakeApi) -> None:
    api.trouble.append(httpx.Response(429, headers={"retry-after": "3600"}))

    with pytest.raises(Exception, match="gh_ann"):
        rows("FROM apikit('gh_ann', '/user/emails')")

    assert rows("SELECT login FROM apikit('gh_bob', '/user/emails')") == [("bob",)]


def test_two_sites_of_one_api_are_asked_each_at_its_own_host(
    rows: Rows, api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANY_TOKEN", "t0ken-of-ann")
    auth = 'auth = { type = "bearer", token = "env:ANY_TOKEN" }\n'
    site = '[connectors.{0}]\nextends = "sites"\nsettings.site = "{0}"\n'
    declare(
        f'[connectors.sites]\nbase_url = "https://{{site}}.example.test"\n{auth}' + site.format("x") + site.format("y")
    )
    api.routes["/me"] = whose

    found = [rows(f"SELECT host, login FROM apikit('{name}', '/me')") for name in ("x", "y")]

    assert found == [[("x.example.test", "ann")], [("y.example.test", "ann")]]


@pytest.mark.parametrize("base_url", ["https://evil.test", "http://api.github.com", "https://api.github.com:8443"])
def test_a_credential_does_not_follow_to_another_origin(base_url: str) -> None:
    declare(f'[connectors.other]\nextends = "github"\nbase_url = "{base_url}"\n')

    with pytest.raises(ConfigError, match="another host than 'github', whose credential is not sent there: say auth"):
        ConnectorRegistry().get("other")


@pytest.mark.parametrize(
    ("base_url", "where"),
    [
        ("https://api.hub.test", "https://evil.test/token"),
        ("https://api.hub.test", "http://login.hub.test/token"),
        ("https://{site}.hub.test", "https://{site}.evil.test/token"),
    ],
)
def test_an_oauth_client_does_not_follow_to_another_token_endpoint(base_url: str, where: str) -> None:
    site = 'variables.site = { default = "a" }\n' if "{" in base_url else ""
    client = 'client_id = "env:HUB_ID", client_secret = "env:HUB_SECRET"'
    hub = f'auth = {{ type = "oauth2", token_url = "https://login.hub.test/token", {client} }}'
    other = f'[connectors.other]\nextends = "hub"\nauth.token_url = "{where}"'
    declare(f'[connectors.hub]\nbase_url = "{base_url}"\n{site}{hub}\n{other}\n')

    with pytest.raises(ConfigError, match="another host than 'hub', whose credential is not sent there: say auth"):
        ConnectorRegistry().get("other")


def test_another_path_of_the_same_token_endpoint_keeps_the_client() -> None:
    client = 'client_id = "env:HUB_ID", client_secret = "env:HUB_SECRET"'
    hub = f'auth = {{ type = "oauth2", token_url = "https://login.hub.test/token", {client} }}'
    other = '[connectors.other]\nextends = "hub"\nauth.token_url = "https://login.hub.test/v2/token"'
    declare(f'[connectors.hub]\nbase_url = "https://api.hub.test"\n{hub}\n{other}\n')

    other_auth, hub_auth = (ConnectorRegistry().get(name).auth for name in ("other", "hub"))

    assert other_auth == hub_auth.model_copy(update={"token_url": "https://login.hub.test/v2/token"})


def test_another_origin_has_auth_of_its_own() -> None:
    declare('[connectors.other]\nextends = "github"\nbase_url = "https://git.test/api"\nauth.token = "env:OWN"\n')

    other = ConnectorRegistry().get("other")

    assert other.auth.token is not None
    assert (other.base_url, other.auth.token.get_secret_value()) == ("https://git.test/api", "env:OWN")


def test_another_path_of_the_same_origin_keeps_the_credential() -> None:
    declare('[connectors.other]\nextends = "github"\nbase_url = "https://api.github.com/v4"\n')

    assert ConnectorRegistry().get("other").auth == ConnectorRegistry().get("github").auth
