"""lint(): each rule of a manifest, broken once, is told once: with its line, its key, and what would do."""

from collections.abc import Callable
from importlib import resources
from pathlib import Path

import pytest

from apikit_sql import lint
from apikit_sql.connector.lint import LintFinding
from apikit_sql.connector.registry import ConnectorRegistry
from apikit_sql.errors import ConfigError

SECRET = "s3cret-4711"
WHOLE = f"""\
base_url = "https://api.test"
headers.X-Trace = "{SECRET}"

[auth]
type = "bearer"
token = "env:ACME_TOKEN"

[pagination]
strategy = "page"
page_param = "page"

[streams.items]
path = "/items"
description = "All items"
key_columns = [
  {{ column = "state", param = "state" }},
  {{ column = "user.login", param = "login" }},
]
primary_key = ["id"]

[streams.items.columns]
id = "BIGINT"
state = "VARCHAR"
user = {{ type = "STRUCT(login VARCHAR)" }}
"""
BASE_URL, STREAMS = 'base_url = "https://api.test"', WHOLE[WHOLE.index("[streams") :]
TYPE, TOKEN = 'type = "bearer"', 'token = "env:ACME_TOKEN"'
AUTH, STRATEGY = f"[auth]\n{TYPE}\n{TOKEN}", 'strategy = "page"\npage_param = "page"'
PATH, KEY = 'path = "/items"', '{ column = "state", param = "state" }'
OAUTH2 = 'client_id = "env:ID"\nclient_secret = "env:SECRET"'
LIST = "must be a list: ['...']"

#: What is replaced in WHOLE, by what (`§` marks the line of the finding, which is then taken out), its key, and a part
#: of its message.
BROKEN: list[tuple[str, str, str, str]] = [
    (BASE_URL, "", "base_url", "is needed"),
    (BASE_URL, '§base_url = "api.test"', "base_url", "must be 'https://host'"),
    (BASE_URL, f'§base_url = "https://ann:{SECRET}@api.test"', "base_url", "without parameters and credentials"),
    (BASE_URL, "§base_url = 5", "base_url", "must be a text"),
    (BASE_URL, f"{BASE_URL}\n§wibble = 5", "wibble", "there is no such setting"),
    (BASE_URL, f"{BASE_URL}\n§pagnation = 5", "pagnation", "did you mean pagination?"),
    (BASE_URL, f"{BASE_URL}\n§timeout = 0", "timeout", "greater than 0"),
    (BASE_URL, f"{BASE_URL}\n§concurrency = 0", "concurrency", "greater than or equal to 1"),
    (BASE_URL, f'{BASE_URL}\n§body_format = "xml"', "body_format", "'json' or 'form'"),
    (BASE_URL, f'{BASE_URL}\n§verify_ssl = "perhaps"', "verify_ssl", "boolean"),
    (BASE_URL, f'{BASE_URL}\n§read_posts = "/search"', "read_posts", LIST),
    (BASE_URL, f'{BASE_URL}\nread_posts = [\n  "/a",\n  §5,\n]', "read_posts.1", "must be a text"),
    (BASE_URL, f'{BASE_URL}\n§allowed_origins = ["x.test"]', "allowed_origins.0", "write 'https://host'"),
    (BASE_URL, f'{BASE_URL}\n§headers.Authorization = "{SECRET}"', "headers.Authorization", "say it under [auth]"),
    (BASE_URL, f"{BASE_URL}\n§retry.max_attempts = 0", "retry.max_attempts", "greater than or equal to 1"),
    (BASE_URL, f"{BASE_URL}\n§retry.min_wait = -1", "retry.min_wait", "greater than or equal to 0"),
    (BASE_URL, f'{BASE_URL}\n§retry.retry_on_status = "5xx"', "retry.retry_on_status", LIST),
    (BASE_URL, f"{BASE_URL}\n§retry.attempts = 1", "retry.attempts", "did you mean max_attempts?"),
    (BASE_URL, f"{BASE_URL}\n§rate_limit.requests_per_second = 0", "rate_limit.requests_per_second", "greater than 0"),
    (BASE_URL, f"{BASE_URL}\n§rate_limit.min_remaining = -1", "rate_limit.min_remaining", "or equal to 0"),
    (BASE_URL, f"{BASE_URL}\n§rate_limit.warn_above = 0", "rate_limit.warn_above", "or equal to 1"),
    (BASE_URL, f'{BASE_URL}\n§variables.site.enf = "X"', "variables.site.enf", "did you mean env?"),
    (TYPE, '§type = "baerer"', "auth.type", "'bearer'"),
    (f"[auth]\n{TYPE}\n{TOKEN}", f"§[auth]\n{TYPE}", "auth", "needs 'token'"),
    (AUTH, '§[auth]\ntype = "apikey"', "auth", "needs 'api_key'"),
    (AUTH, '§[auth]\ntype = "basic"', "auth", "needs 'username'"),
    (AUTH, f'§[auth]\ntype = "oauth2"\n{OAUTH2}', "auth", "needs 'token_url'"),
    (AUTH, '§[auth]\ntype = "oauth2"\ntoken_url = "/t"\nclient_secret = "env:S"', "auth", "needs 'client_id'"),
    (AUTH, '§[auth]\ntype = "oauth2"\ntoken_url = "/t"\nclient_id = "env:I"', "auth", "'client_secret' or"),
    (AUTH, f'[auth]\ntype = "oauth2"\n{OAUTH2}\n§token_url = "t"', "auth.token_url", "or '/path'"),
    (AUTH, f"§[auth]\n{TOKEN}", "auth", "say which type it is"),
    (TOKEN, f'§token = "{SECRET}"', "auth.token", "must be a reference (env:NAME or keyring:NAME)"),
    (TOKEN, "§token = 5", "auth.token", "must be a reference (env:NAME or keyring:NAME)"),
    (TOKEN, f'{TOKEN}\n§password = "{SECRET}"', "auth.password", "must be a reference"),
    (TOKEN, f'{TOKEN}\n§prefx = "Token"', "auth.prefx", "did you mean prefix?"),
    (STRATEGY, '§strategy = "pages"', "pagination.strategy", "'page'"),
    ("[pagination]\n" + STRATEGY, '§[pagination]\nstrategy = "page"', "pagination", "needs page_param"),
    ("[pagination]\n" + STRATEGY, '§[pagination]\nstrategy = "offset"', "pagination", "needs offset_param"),
    ("[pagination]\n" + STRATEGY, '§[pagination]\nstrategy = "next_url"', "pagination", "needs next_url_path or"),
    ("[pagination]\n" + STRATEGY, '§[pagination]\nstrategy = "cursor"', "pagination", "needs cursor_param"),
    ("[pagination]", "§[pagination]\npage_size = 5", "pagination", "page_size needs limit_param"),
    ("[pagination]", "[pagination]\n§max_pages = 0", "pagination.max_pages", "or equal to 1"),
    ("[pagination]", "[pagination]\n§pagesize = 5", "pagination.pagesize", "did you mean page_size?"),
    (f"[streams.items]\n{PATH}", "§[streams.items]", "streams.items.path", "is needed"),
    (PATH, '§path = "items"', "streams.items.path", "must start with '/'"),
    (PATH, f'{PATH}\n§method = "PUT"', "streams.items.method", "'GET' or 'POST'"),
    (PATH, f'{PATH}\n§body = "q"', "streams.items.body", "must be an object: {...}"),
    (PATH, f"{PATH}\n§params.at = 2026-01-01", "streams.items.params.at", ""),
    (PATH, f'{PATH}\n§params.api_key = "{SECRET}"', "streams.items.params.api_key", "say it under [auth]"),
    (PATH, f'{PATH}\n§keys = ["id"]', "streams.items.keys", "there is no such setting"),
    (PATH, f'{PATH}\n§pagination.stratgy = "link"', "streams.items.pagination.stratgy", "did you mean strategy?"),
    ('primary_key = ["id"]', '§primary_key = "id"', "streams.items.primary_key", LIST),
    ('id = "BIGINT"', '§id = "NUMBER"', "streams.items.columns.id.type", "Types are BOOLEAN"),
    ('id = "BIGINT"', '§id.format = "epoch"', "streams.items.columns.id.type", "is needed"),
    ('id = "BIGINT"', '§id = { type = "TIMESTAMP", format = "iso" }', "streams.items.columns.id.format", "'epoch_ms'"),
    ('id = "BIGINT"', '§id = { type = "BIGINT", hint = "" }', "streams.items.columns.id.hint", "no such setting"),
    (STREAMS, "§" + STREAMS.replace(KEY, '{ column = "a", path = "b", required = true }'), "streams.items", "fills"),
    (STREAMS, "§" + STREAMS.replace(KEY, '{ column = "a", param = "b" }'), "streams.items", "none of the"),
    (STREAMS, f"§[streams.x]\n{PATH}\nkey_columns = [{KEY[:-2]}, required = true }}]\n", "streams.x", "needs declared"),
    (STREAMS, f'§{STREAMS}STATE = "JSON"', "streams.items", "differ by case only"),
    (KEY, '§{ column = "state" }', "streams.items.key_columns.0", "needs either param or path"),
    (KEY, '§{ column = "state", param = "a", path = "b" }', "streams.items.key_columns.0", "either param or path"),
    (KEY, '§{ column = "state", path = "a" }', "streams.items.key_columns.0", "needs required = true"),
    (KEY, f'{KEY},\n§{{ column = "id", param = "b", type = "JSON" }}', "streams.items.key_columns.1", "plain type"),
    (KEY, '§{ column = "state", param = "a", operators = ["~"] }', "streams.items.key_columns.0.operators.0", "'>='"),
    (KEY, '§{ column = "state", parm = "a" }', "streams.items.key_columns.0.parm", "did you mean param"),
    (KEY, f'{KEY},\n§{{ param = "b" }}', "streams.items.key_columns.1.column", "is needed"),
    (KEY, f'{KEY},\n§{{ column = "state", param = "b", values = "x" }}', "streams.items.key_columns.1.values", LIST),
]  # fmt: skip

DOUBTFUL: list[tuple[str, str, str, str]] = [
    (BASE_URL, '§base_url = "https://{site}.test"', "base_url", "declare [variables.site] with env or default"),
    (BASE_URL, f'{BASE_URL}\n§variables.site.env = "X"', "variables.site", "no URL has {site}"),
    (BASE_URL, '§base_url = "http://api.test"', "base_url", "say https://"),
    (AUTH, f'[auth]\ntype = "oauth2"\n{OAUTH2}\n§token_url = "https://{{site}}.test/t"', "auth.token_url", "{site}"),
    (STREAMS, "", "streams", "a catalog would be empty"),
    ("[streams.items]", '§[streams.b]\npath = "/x"\ndescription = "x"\n[streams.items]', "streams.b", "no columns"),
    (STREAMS, "§" + STREAMS.replace('description = "All items"', ""), "streams.items", "no description"),
    (PATH, '§path = "/{owner}/items"', "streams.items.path", "add { column = 'owner', path = 'owner', "),
    ('primary_key = ["id"]', '§primary_key = ["id", "uuid"]', "streams.items.primary_key", "'uuid' is no column"),
    (PATH, f'{PATH}\n§updated_at = "changed"', "streams.items.updated_at", "'changed' is no column"),
    (PATH, f'{PATH}\n§updated_at = "user.at"', "streams.items.updated_at", "'user.at' is no column"),
    (KEY, f'{KEY},\n§{{ column = "user.id", param = "u" }}', "streams.items.key_columns.1", "no predicate can name it"),
    (KEY, f'{KEY},\n§{{ column = "id", param = "state" }}', "streams.items.key_columns.1", "by another key column"),
]  # fmt: skip
ALL = [*BROKEN, *DOUBTFUL]


def broken(old: str, new: str) -> tuple[str, int]:
    """The manifest so changed, and the line that is marked, 0 where none is."""
    text = WHOLE.replace(old, new, 1)
    before, mark, after = text.partition("§")
    assert text != WHOLE
    return before + after, before.count("\n") + 1 if mark else 0


def entry(text: str) -> str:
    """The manifest as the first entry of a config file: each line is one further down."""
    return "[connectors.acme]\n" + text.replace("\n[", "\n[connectors.acme.")


def found(folder: Path, text: str, name: str = "acme.toml") -> list[LintFinding]:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return lint(file)


@pytest.mark.parametrize(
    "name", [each.name for each in (resources.files("apikit_sql") / "connector/builtin").iterdir()]
)
def test_a_built_in_manifest_is_clean(name: str) -> None:
    with resources.as_file(resources.files("apikit_sql") / "connector/builtin" / name) as file:
        assert lint(file) == []


def test_a_manifest_is_clean_as_a_file_and_as_an_entry_of_a_config_file(tmp_path: Path) -> None:
    assert found(tmp_path, WHOLE) == []
    assert found(tmp_path, entry(WHOLE)) == []
    assert lint(str(tmp_path / "acme.toml")) == []


@pytest.mark.parametrize(("old", "new", "key", "said"), ALL, ids=[f"{case[2]}: {case[3]}" for case in ALL])
def test_what_is_wrong_with_a_manifest_is_told_once_where_it_stands(
    tmp_path: Path, old: str, new: str, key: str, said: str
) -> None:
    text, line = broken(old, new)

    (finding,) = found(tmp_path, text)

    assert (finding.line, finding.key) == (line, key)
    assert finding.level == ("error" if (old, new, key, said) in BROKEN else "warning")
    assert said in finding.message
    assert SECRET not in str(finding)


@pytest.mark.parametrize(("old", "new", "key", "said"), ALL, ids=[f"{case[2]}: {case[3]}" for case in ALL])
def test_what_is_wrong_with_an_entry_of_a_config_file_is_told_likewise(
    tmp_path: Path, old: str, new: str, key: str, said: str
) -> None:
    text, line = broken(old, new)

    (finding,) = found(tmp_path, entry(text))

    assert (finding.line, finding.key) == (line + 1, f"connectors.acme.{key}")
    assert said in finding.message


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (PATH, 'path = "/items?state=open"'),
        (PATH, 'path = "/a/../items"'),
        (PATH, 'path = "/{my field}/items"'),
        (BASE_URL, 'base_url = "https://{my-site}.test"'),
        (BASE_URL, 'base_url = "https://api.test:99999"'),
        (BASE_URL, 'base_url = "https://{site}.test"\nvariables.site.default = "evil.test/"'),
        (AUTH, f'[auth]\ntype = "oauth2"\n{OAUTH2}\ntoken_url = "http://api.test/t"'),
    ],
)
def test_what_no_call_could_ever_use_is_no_clean_manifest(tmp_path: Path, old: str, new: str) -> None:
    text, _ = broken(old, new)

    assert found(tmp_path, text)


@pytest.mark.parametrize(
    "url", ["http://api.test:99999", "http://[:::]", "http://[1.2.3.4]", "http://.", "http://{a}b"]
)
def test_a_strange_base_url_does_not_end_it(tmp_path: Path, url: str) -> None:
    text, _ = broken(BASE_URL, f'base_url = "{url}"')

    assert found(tmp_path, text)


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "127.0.0.1", "[::1]:80"])
def test_a_credential_may_go_to_this_machine_in_the_clear(tmp_path: Path, host: str) -> None:
    text, _ = broken(BASE_URL, f'base_url = "http://{host}/v1"')

    assert found(tmp_path, text) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (BASE_URL, f'base_url = "https://api.test?key={SECRET}"'),
        (BASE_URL, f'{BASE_URL}\nallowed_origins = ["https://ann:{SECRET}@x.test/v1"]'),
        (BASE_URL, f'{BASE_URL}\nallowed_origins = ["http://ann:{SECRET}@x.test"]'),
        (BASE_URL, f'{BASE_URL}\nverify_ssl = "{SECRET}"'),
        (BASE_URL, f'{BASE_URL}\napi_token = "{SECRET}"'),
        (BASE_URL, f'{BASE_URL}\npagination = "{SECRET}"'),
        (BASE_URL, f'{BASE_URL}\nvariables.site = "{SECRET}"'),
        (AUTH, f'auth = "{SECRET}"'),
        (AUTH, f'[auth]\ntype = "oauth2"\n{OAUTH2}\ntoken_url = "https://a:{SECRET}@x.test/t"'),
        (TOKEN, f'token = ["{SECRET}"]'),
        (TYPE, f'type = "{SECRET}"'),
        (PATH, f'path = "items?api_key={SECRET}"'),
        (PATH, f'{PATH}\nparams.key = [1, "{SECRET}"]'),
        (PATH, f'{PATH}\nbody = ["{SECRET}"]'),
        (TOKEN, f'token = "{SECRET}'),
        (TOKEN, f"token = {SECRET}"),
        (TOKEN, f'{TOKEN}\ntoken = "{SECRET}"'),
    ],
)
def test_no_message_tells_a_value_that_may_be_secret(tmp_path: Path, old: str, new: str) -> None:
    text, _ = broken(old, new)

    told = found(tmp_path, text)

    assert told
    assert SECRET not in "".join(map(str, told))


@pytest.mark.parametrize(
    ("old", "new"),
    [(AUTH, 'auth = "bearer"'), ('id = "BIGINT"', "id = 5"), (KEY, '"state"'), (STREAMS, 'streams.items = "/items"')],
)
def test_a_message_speaks_of_toml_and_not_of_python(tmp_path: Path, old: str, new: str) -> None:
    text, _ = broken(old, new) if old != AUTH else (f"{new}\n" + WHOLE.replace(AUTH, ""), 1)

    told = " ".join(finding.message for finding in found(tmp_path, text))

    assert "instance of" not in told
    assert "dictionary" not in told


@pytest.mark.parametrize("make", [Path.exists, Path.mkdir, lambda file: file.write_bytes(b"a = '\xe9'")])
def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path, make: Callable[[Path], object]) -> None:
    make(tmp_path / "acme.toml")

    with pytest.raises(ConfigError, match=r"acme\.toml cannot be read"):
        lint(tmp_path / "acme.toml")


def test_findings_come_by_line_and_look_like_a_compilers(tmp_path: Path) -> None:
    text = WHOLE.replace(TYPE, f"{TYPE}\nlate = 1").replace(BASE_URL, f"{BASE_URL}\nearly = 1")

    told = found(tmp_path, text)

    assert [finding.key for finding in told] == ["early", "auth.late"]
    assert str(told[0]) == f"{tmp_path / 'acme.toml'}:2: error: early: there is no such setting"


def test_what_lint_passes_is_a_connector_of_that_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APIKIT_CONFIG_PATH", str(tmp_path))

    assert found(tmp_path, entry(WHOLE), "config.toml") == []
    assert ConnectorRegistry().get("acme").base_url == "https://api.test"


# --- extends, settings, names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        'extends = "github"\nauth.token = "env:WORK_TOKEN"\n',
        'extends = "jira"\nsettings.site = "acme"\n',
        '[connectors.work]\nextends = "github"\n[connectors.jira_acme]\nextends = "jira"\nsettings.site = "acme"\n',
    ],
)
def test_what_extends_a_built_in_connector_says_only_what_differs(tmp_path: Path, text: str) -> None:
    assert found(tmp_path, text) == []


def test_an_unknown_connector_to_extend_is_told_with_near_ones(tmp_path: Path) -> None:
    (finding,) = found(tmp_path, 'description = "x"\nextends = "githib"\n')

    assert (finding.line, finding.key, finding.level) == (2, "extends", "error")
    assert "Did you mean github?" in finding.message


def test_what_is_wrong_with_something_inherited_is_told_at_what_extends_it(tmp_path: Path) -> None:
    text = 'extends = "github"\n[streams.issues]\nprimary_key = ["nope"]\nupdated = "x"\n'

    ((wrong,), (doubtful,)) = found(tmp_path, text), found(tmp_path, text.replace('updated = "x"\n', ""))

    assert (wrong.line, wrong.key) == (4, "streams.issues.updated")
    assert (doubtful.line, doubtful.key) == (3, "streams.issues.primary_key")


@pytest.mark.parametrize("order", [("acme", "other"), ("other", "acme")])
def test_entries_of_a_config_file_may_extend_each_other(tmp_path: Path, order: tuple[str, str]) -> None:
    entries = {"acme": entry(WHOLE), "other": '[connectors.other]\nextends = "acme"\n'}

    assert found(tmp_path, "".join(entries[name] for name in order)) == []


def test_the_entry_of_this_file_is_extended_and_not_a_users_own_of_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APIKIT_CONFIG_PATH", str(tmp_path / "config.toml"))
    (tmp_path / "config.toml").write_text('[connectors.acme]\nbase_url = "nonsense"\n', encoding="utf-8")

    assert found(tmp_path, entry(WHOLE) + '[connectors.other]\nextends = "acme"\n') == []


@pytest.mark.parametrize("name", ["config.toml", "elsewhere.toml"])
def test_a_cycle_in_a_config_file_is_told_at_each_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("APIKIT_CONFIG_PATH", str(tmp_path / "config.toml"))
    cycle = '[connectors.a]\nextends = "b"\n[connectors.b]\nextends = "a"\n'

    told = found(tmp_path, cycle, name)

    assert [(each.line, each.key) for each in told] == [(2, "connectors.a.extends"), (4, "connectors.b.extends")]
    assert all("extends itself" in each.message for each in told)


@pytest.mark.parametrize(
    ("name", "text"),
    [("config.toml", '[connectors.github]\nextends = "github"\n'), ("github.toml", 'extends = "github"\n')],
)
def test_another_account_may_take_the_name_of_what_it_extends(tmp_path: Path, name: str, text: str) -> None:
    assert found(tmp_path, text, name) == []


def test_a_secret_in_one_entry_of_the_users_own_file_is_not_told_of_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APIKIT_CONFIG_PATH", str(tmp_path / "config.toml"))
    text = entry(WHOLE).replace("env:ACME_TOKEN", SECRET) + '[connectors.work]\nextends = "github"\n'

    (finding,) = found(tmp_path, text, "config.toml")

    assert finding.key == "connectors.acme.auth.token"


@pytest.mark.parametrize("variables", ["variables = 5", 'variables = "abc"', 'variables.site = "abc"'])
def test_variables_that_are_no_tables_are_told_beside_settings_too(tmp_path: Path, variables: str) -> None:
    text, line = broken(BASE_URL, f'base_url = "https://{{site}}.test"\n§{variables}\nsettings.site = "acme"')

    (finding,) = found(tmp_path, text)

    assert (finding.line, finding.level) == (line, "error")


def test_an_entry_must_not_call_itself_otherwise(tmp_path: Path) -> None:
    (finding,) = found(tmp_path, entry(f'name = "other"\n{WHOLE}'))

    assert (finding.line, finding.key, finding.level) == (2, "connectors.acme.name", "error")


@pytest.mark.parametrize("name", ["my-api.toml", "My_Api.toml", "my api.toml"])
def test_a_file_that_is_called_like_no_connector_is_told_what_names_are(tmp_path: Path, name: str) -> None:
    (finding,) = found(tmp_path, WHOLE, name)

    assert (finding.line, finding.key) == (0, "name")
    assert "lower case letters" in finding.message


STREAM = """base_url = "https://api.test"
[streams.items]
path = "/items"
description = "Items"
columns = { a = "VARCHAR", u = "STRUCT(b VARCHAR)" }
"""


@pytest.mark.parametrize(
    ("more", "key", "said"),
    [
        (
            'pagination = { page_param = "p" }',
            "streams.items.pagination",
            "without a strategy page_param means nothing",
        ),
        (
            'pagination = { strategy = "cursor", cursor_param = "c", next_cursor_path = "n", next_cursor_header = "N"}',
            "streams.items.pagination",
            "in the body or in a header",
        ),
        ('key_columns = [{ column = "u.c", param = "c" }]', "streams.items.key_columns.0", "'u.c' is no column"),
        (
            'key_columns = [{ column = "a", param = "a", format = "epoch" }]',
            "streams.items.key_columns.0",
            "format says how times are sent, and 'a' is VARCHAR",
        ),
    ],
)
def test_what_hardly_anybody_means_is_doubted(tmp_path: Path, more: str, key: str, said: str) -> None:
    (finding,) = found(tmp_path, STREAM + more + "\n")

    assert (finding.line, finding.key, finding.level) == (6, key, "warning")
    assert said in finding.message


def test_a_manifest_among_the_files_of_connectors_has_no_prefix(tmp_path: Path) -> None:
    (tmp_path / "connectors").mkdir()
    file = tmp_path / "connectors" / "acme.toml"
    file.write_text(entry(WHOLE), encoding="utf-8")

    messages = [finding.message for finding in lint(file)]

    assert any("is written without [connectors.NAME]" in message for message in messages)
