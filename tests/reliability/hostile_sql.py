"""Statements of somebody who is not trusted, and the rules of install() that they would break.

Functions that take a connector are found in `sql/catalog.py`: a new one is tried, too. `sandbox.py` runs all this.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from apikit_sql.sql.catalog import FUNCTIONS, Function, literal

HOME, EVIL = "https://api.test", "https://evil.test"
OTHER = "jsonplaceholder"  # a connector that is built in
SECRET = "s3cret-word"
_ID = "columns := {id: 'INT'}"

#: What an argument that must be given is, where it says nothing of the API.
_GIVEN = {"path": "'/items'", "query": "'{ a { id } }'", "sql": "$$ SELECT 1 AS a $$"}
#: They take a connector and send nothing to it; the first does not look at it but as a filter.
_OF_NO_API = "apikit_rate_limits"
_SENDING_NOTHING = frozenset({"apikit_dry_run", "apikit_streams"})

#: What DuckDB, and we, say without access to what is outside; and of a function behind ours called row by row.
_NO_ACCESS = "enable_external_access|Cannot change|Cannot enable|disabled by configuration"
_NO_FRAME = "is asked by macros alone"
_OFF = {"enable_external_access": "false"}


@dataclass(frozen=True)
class Rule:
    """One promise: `options` of install(), DuckDB's `config`, and the `hostile` statements, refused with `words`.

    `before` is what trusted SQL has said. `allowed` works all the same.
    """

    promise: str
    hostile: Sequence[str]
    words: str
    options: dict[str, Any] = field(default_factory=dict)
    config: dict[str, str] = field(default_factory=dict)
    before: Sequence[str] = ()
    allowed: str = f"FROM apikit('{HOME}', '/items', {_ID})"
    is_own: bool = False  # of connect(), not of install()
    is_of_2: bool = False  # of DuckDB 2.0 alone


def calls(connector: str, among: Callable[[Function], bool] = lambda _: True) -> list[str]:
    """A statement for each function that takes a connector, with this one."""
    takers = [each for each in FUNCTIONS if each.arguments and each.arguments[0].name == "connector"]
    return [_call(each, connector) for each in takers if each.name != _OF_NO_API and among(each)]


def _call(function: Function, connector: str) -> str:
    needed = [argument.name for argument in function.arguments if argument.default is None]
    texts = [literal(connector) if name == "connector" else _GIVEN[name] for name in needed]
    if function.name == "apikit_dbt_export":
        texts.append("name := 'evil'")
    text = f"{function.name}({', '.join(texts)})"
    if function.method:
        return f"CREATE TABLE evil AS SELECT {text} AS r"
    return f"SELECT {text}" if function.returns else f"FROM {text}"


def _sends(function: Function) -> bool:
    return function.name not in _SENDING_NOTHING


def _changes(function: Function) -> bool:
    return bool(function.method)


def _forged(connector: str) -> list[str]:
    """The functions behind ours, called by themselves with what a macro would say, and claims of what is allowed."""
    arguments = _handed_over("apikit", connector, columns={"id": "INT"})
    claims = {"function": "apikit", "arguments": arguments, "allow_network": "true", "external_access": "true"}
    question, given = literal(json.dumps(claims)), literal(_handed_over("apikit_get", connector))
    return [
        f"SELECT __apikit_bind({question})",
        f"FROM query(__apikit_bind({question}))",
        f"SELECT __apikit_get({given})",
        f"SELECT __apikit_fetch({given})",
        _forged_change("post", connector),
        f"PREPARE p AS SELECT __apikit_get($1); EXECUTE p({given})",
    ]


def _forged_change(method: str, connector: str) -> str:
    given = _handed_over(f"apikit_{method}", connector, body={})
    return f"SELECT __apikit_{method}({literal(given)}, 'CREATE TABLE a AS SELECT 1', 'mark')"


def _handed_over(name: str, connector: str, **more: object) -> str:
    """What the macro of this name hands over for `/items` of `connector`."""
    arguments = next(each for each in FUNCTIONS if each.name == name).arguments
    types = {f"{each.name}_type": "INTEGER" for each in arguments if each.typed}
    return json.dumps(
        dict.fromkeys(each.name for each in arguments) | types | {"connector": connector, "path": "/items"} | more
    )


def _nested(connector: str) -> list[str]:
    """A call that other functions, views and variables bring along."""
    scan = f"FROM apikit('{connector}', '/items')"
    return [
        f"CREATE VIEW v AS {scan}",
        f"CREATE MACRO m() AS TABLE {scan}; FROM m()",
        f"SET VARIABLE c = '{connector}'; FROM apikit(getvariable('c'), '/items')",
        f"FROM query({literal(scan)})",
        f"FROM apikit_explain({literal(scan)})",
        f"FROM apikit_dbt_export_query({literal(scan)}, name := 'evil')",
        f"EXPLAIN {scan}",
        f"COPY ({scan}) TO 'evil.csv'",
        f"DESCRIBE {scan}",
        f"SELECT (SELECT count(*) {scan})",
        f"WITH a AS MATERIALIZED ({scan}) FROM a",
        f"PREPARE p AS {scan}",
    ]


#: A macro in the place of DuckDB's own word on outside access.
_SHADOW = (
    "MACRO current_setting(x) AS CASE WHEN x = 'TimeZone' THEN 'UTC' WHEN x = 'search_path' THEN '' ELSE 'true' END; "
    "CREATE OR REPLACE MACRO current_setting(x) AS true"
)
_SHADOWS = [
    f"CREATE OR REPLACE {temporary}{_SHADOW}; {statement}"
    for temporary in ("", "TEMP ")
    for statement in calls(HOME, lambda each: each.name in {"apikit", "apikit_get", "apikit_dbt_export"})
]
_TAKING_OUT = [
    "SET enable_external_access = true",
    "SET GLOBAL enable_external_access = true",
    "PRAGMA enable_external_access = true",
    "RESET enable_external_access",
]
_FILES = [
    "CALL apikit_dbt_export_query('SELECT 1 AS a', name := 'evil', output_dir := 'x')",
    f"CALL apikit_dbt_export('{HOME}', '/items', name := 'evil')",
    "COPY (SELECT 1) TO 'evil.csv'",
    "ATTACH 'evil.db'",
    "FROM read_text('/etc/hostname')",
    "EXPORT DATABASE 'evil'",
]
_PORTS = [
    f"CALL apikit_webhook_start('evil', '{provider}', 'env:HOME', port := 0, host := '{host}')"
    for provider in ("stripe", "hmac")
    for host in ("127.0.0.1", "0.0.0.0")  # noqa: S104 - that is what is refused
]
#: Paths that would leave the base URL, if anybody took them for more than they are.
_PATHS = [
    "/../admin", "/a/../../admin", "/%2e%2e/admin", "/a/%2E./admin", "/.%2e/admin", "/..", "/.", "/a/./b",
    "/\\evil.test/x", "/a\\..\\b", "/..\\admin", "/items?admin=1", "/items#x", "items", "\\\\evil.test",
    "http://evil.test/x", "//evil.test/x\\..", "@evil.test", "/{a}{", "/{", "/}", "",
]  # fmt: skip
#: Values that would do so as a part of a path.
_STEPS = ["..", ".", ""]
_BASE_URLS = [
    "https://api.test@evil.test", "https://u:p@evil.test", "https://", "http:///x", "https://evil.test?a=b",
    "https://evil.test#a", "https://evil.test\\@api.test", "https://evil test", "https://evil.test:99999",
    "https://[::1", "HTTPS://evil.test", "ftp://evil.test", "file:///etc/passwd", "javascript:alert(1)",
    "https://evil.test\n.api.test", "https://evil.test%2f@api.test",
]  # fmt: skip
_CREDENTIALS = [
    f"params := {{'api_key': '{SECRET}'}}", f"params := {{'access-token': '{SECRET}'}}",
    "params := {'q': 'env:HOME'}", "params := {'q': ['x', 'keyring:github']}", "params := MAP {'q': 'env:HOME'}",
    """params := '{"q": "env:HOME"}'""", r"""params := '{"\u0071": "env\u003aHOME"}'""",
]  # fmt: skip
_IN_HEADERS = [
    f"headers := {{'Authorization': 'Bearer {SECRET}'}}", f"headers := {{'cookie': 's={SECRET}'}}",
    f"headers := {{'X-Api-Key': '{SECRET}'}}", f"headers := {{'X-Custom-Token': '{SECRET}'}}",
    "headers := {'X-A': 'Bearer env:HOME'}", f"headers := {{'X-A': 'keyring:{SECRET}'}}",
]  # fmt: skip
_CARRYING = [
    f"FROM {function}('{HOME}', '/items', {option})"
    for function in ("apikit", "apikit_dry_run", "apikit_schema")
    for option in _CREDENTIALS + _IN_HEADERS
]
_CARRYING += [f"SELECT apikit_get('{HOME}', '/items', {option})" for option in _CREDENTIALS]
_CARRYING += [f"CALL apikit_webhook_start('evil', 'stripe', {literal(text)})" for text in (SECRET, "env: X", "")]
_CARRYING += [
    f"FROM apikit('{HOME}', '/{{n}}', path_params := {{n: 'env:HOME'}})",
    f"FROM apikit('{HOME}', '/{{n}}', keys := [{{n: 'keyring:x'}}])",
    "FROM apikit('env:HOME', '/items')",
    f"FROM apikit_graphql('{HOME}', 'query($a: A) {{ a(a: $a) {{ b }} }}', variables := {{a: 'env:HOME'}})",
]
_CARRYING += [
    f"CREATE TABLE evil AS SELECT apikit_post('{HOME}', '/x', {body}) AS r; SELECT error(r.error) FROM evil"
    for body in ("{a: [{b: 'env:HOME'}]}", f"{{password: '{SECRET}'}}")
]
#: Names of a seed, and folders to write it into.
_PLACES = [
    ("evil", ".."), ("evil", "/srv"), ("evil", "a/../.."), ("evil", "link"), ("../evil", "dbt"), ("a/b", "dbt"),
    ("..", "dbt"), ("", "dbt"), ("sources", "dbt"), ("evil\n", "dbt"), ("evil.csv", "dbt"), ("/etc/evil", "dbt"),
]  # fmt: skip
_TAKEN = ["main", "temp", "system", "memory", "information_schema", "pg_catalog", "a.b", "a b", "", '"', "own"]
_POST = "method := 'POST', body := {a: 1}"
#: Types, time zones and search paths that would bring SQL along.
_BRINGING = [
    ("INT); CREATE TABLE evil(i INT); --", "UTC", ""),
    ("INT) + (SELECT 1", "UTC", ""),
    ("INT", "UTC'; CREATE TABLE evil(i INT); --", ""),
    ("INT", "UTC", "x'; CREATE TABLE evil(i INT); --"),
]
_NONSENSE = [
    "__apikit_bind('{}')", "__apikit_bind('[]')", "__apikit_bind('x')", "__apikit_bind('')",
    """__apikit_bind('{"function": "record", "recording": "x", "question": "{}"}')""",
    """__apikit_bind('{"function": "called", "recording": "x", "name": "y"}')""",
    """__apikit_bind('{"function": "stream", "table": "own.x", "arguments": "{}"}')""",
    """__apikit_bind('{"function": "apikit", "arguments": "[]"}')""",
    "__apikit_get('[]')", "__apikit_get(NULL)", "__apikit_fetch('{}')", "__apikit_post('{}', 'x y', 'm')",
    "__apikit_post('{}', '', '')", "__apikit_explained('{}', '')",
]  # fmt: skip


def _bringing(kind: str, time_zone: str, search_path: str) -> str:
    """The function behind apikit_explain(), with a type of a variable, a time zone and a search path."""
    given = json.dumps({"sql": "SELECT 1", "time_zone": time_zone, "search_path": search_path})
    variables = json.dumps([{"name": "x", "type": kind, "value": "1"}])
    return f"SELECT __apikit_explained({literal(given)}, {literal(variables)})"


def _with_path(path: str) -> list[str]:
    base, text = f"'{HOME}/v1'", literal(path)
    graphql = [f"FROM apikit_graphql({base}, '{{ a {{ id }} }}', path := {text})"] if path else []
    return [f"FROM apikit({base}, {text}, {_ID})", f"SELECT apikit_get({base}, {text})", *graphql]


def _with_step(step: str) -> list[str]:
    base, text = f"'{HOME}/v1'", f"{{n: {literal(step)}}}"
    return [
        f"FROM apikit({base}, '/{{n}}/x', path_params := {text})",
        f"FROM apikit({base}, '/{{n}}', keys := [{text}])",
        f"SELECT apikit_fetch({base}, '/{{n}}', path_params := {text})",
    ]


RULES = [
    Rule(
        "ad_hoc=False: no base URL, in no function and by no way around",
        [*calls(EVIL), *_nested(EVIL), *_forged(EVIL)],
        f"only named connectors|may only be read|{_NO_FRAME}",
        {"ad_hoc": False, "allow_mutations": ["demo"]},
        allowed="FROM apikit('demo', 'products')",
    ),
    Rule(
        "ad_hoc=False, connect(): nor as a table's name",
        [f"FROM '{EVIL}/items'", f"SELECT * FROM (FROM '{EVIL}/items')", f"FROM apikit_explain($$FROM '{EVIL}/a'$$)"],
        "only named connectors",
        {"ad_hoc": False},
        allowed="FROM 'demo:/products'",
        is_own=True,
    ),
    Rule(
        "connectors=['demo']: no other connector, in no function and by no way around",
        [*calls(OTHER), *_nested(OTHER), *_forged(OTHER)],
        f"may not be used here; allowed: demo|may only be read|{_NO_FRAME}",
        {"connectors": ["demo"], "allow_mutations": ["demo"]},
        allowed="FROM apikit('demo', 'products')",
    ),
    Rule(
        "connectors=['demo']: what was attached before is read no longer",
        [
            f"FROM {OTHER}.posts",
            f"FROM {OTHER}.posts(pages := 1)",
            f'FROM {OTHER}.comments WHERE "postId" = 1',
            f"""SELECT __apikit_bind('{{"function": "stream", "table": "{OTHER}.posts", "arguments": "{{}}"}}')""",
        ],
        f"may not be used here; allowed: demo|{_NO_FRAME}",
        {"connectors": ["demo"]},
        before=[f"CALL apikit_attach('{OTHER}')"],
        allowed="FROM apikit('demo', 'products')",
    ),
    Rule(
        "enable_external_access=false: nothing is sent, no file is written, no port opened",
        [*calls(HOME, _sends), *_nested(HOME), *_forged(HOME), *_SHADOWS, *_TAKING_OUT, *_FILES, *_PORTS],
        f"{_NO_ACCESS}|may only be read|{_NO_FRAME}",
        config=_OFF,
        allowed="SELECT 1",
    ),
    Rule(
        "enable_external_access=false with allow_network=True: APIs, and neither files nor ports",
        [*_FILES, *_PORTS, *_TAKING_OUT],
        _NO_ACCESS,
        {"allow_network": True},
        config=_OFF,
        is_of_2=True,
    ),
    Rule(
        "allow_network=False: nothing is sent and no port opened, whatever DuckDB may",
        [*calls(HOME, _sends), *_nested(HOME), *_forged(HOME), *_SHADOWS, *_PORTS],
        f"sends nothing|may only be read|{_NO_FRAME}",
        {"allow_network": False},
        allowed="FROM apikit_help()",
    ),
    Rule(
        "lock_configuration: what is locked stays so, and all else works",
        [*_TAKING_OUT, "SET lock_configuration = false", "RESET lock_configuration", *_FILES, *_PORTS],
        f"{_NO_ACCESS}|locked",
        {"allow_network": True},
        config=_OFF | {"lock_configuration": "true"},
        allowed=f"FROM apikit_explain($$ FROM apikit('{HOME}', '/items', {_ID}) $$)",
        is_of_2=True,
    ),
    Rule(
        "a path stays below the base URL",
        [text for path in _PATHS for text in _with_path(path)] + [text for step in _STEPS for text in _with_step(step)],
        r"step|must start|has no stream|has a '\?'|which is no|cannot be part|is needed|path",
        allowed=f"FROM apikit('{HOME}', '/{{n}}', path_params := {{n: 'items'}}, {_ID})",
    ),
    Rule(
        "a base URL is one, and holds no credentials",
        [f"FROM apikit({literal(url)}, '/x', {_ID})" for url in _BASE_URLS],
        "not a base URL|holds credentials|no connector is named",
    ),
    Rule(
        "SQL carries neither credentials nor references",
        _CARRYING,
        "credential|must be a reference|SQL must not|no connector is named",
        {"allow_mutations": [HOME]},
    ),
    Rule(
        "allow_mutations: what is not named is not changed",
        [
            *[text for connector in (HOME, f"{HOME}/api", OTHER) for text in calls(connector, _changes)],
            *[_forged_change(method, HOME) for method in ("post", "put", "patch", "delete")],
            f"FROM apikit('{HOME}', '/items', {_POST})",
            f"FROM apikit('{HOME}', '/items', method := 'DELETE')",
            f"FROM apikit('{HOME}', '/search/../refunds', {_POST})",
            f"FROM apikit('{HOME}', '/search/more', {_POST})",
            f"FROM apikit('{HOME}', '/search%2frefunds', {_POST})",
            f"FROM apikit('{HOME}', '//search', {_POST})",
            f"FROM apikit_graphql('{HOME}', 'mutation {{ a {{ id }} }}')",
            f"FROM apikit_graphql('{HOME}', 'query {{ a {{ id }} }} mutation {{ b {{ id }} }}')",
        ],
        "may only be read|may change something|method|step|query",
        {"allow_mutations": ["demo"], "read_posts": {HOME: ["/search"]}},
    ),
    Rule(
        "an export stays in the working folder",
        [
            f"CALL apikit_dbt_export_query('SELECT 1 AS a', name := {literal(name)}, output_dir := {literal(folder)})"
            for name, folder in _PLACES
        ],
        "outside the working folder|is no name for a seed",
    ),
    Rule(
        "names of databases and schemas are not taken, and what is not ours is not taken away",
        [f"CALL apikit_attach('demo', name := {literal(name)})" for name in _TAKEN]
        + [f"CALL apikit_detach({literal(name)})" for name in _TAKEN],
        "already|is no name|no connector is attached|current catalog",
        before=["ATTACH ':memory:' AS own"],
    ),
    Rule(
        "the functions behind ours take no SQL along",
        [_bringing(*each) for each in _BRINGING] + [f"SELECT {text}" for text in _NONSENSE],
        "Error",
    ),
]
#: Where answers would lead to.
AWAY = [
    "http://evil.test/", "//evil.test/", "https://api.test@evil.test/", "https://api.test:8443/", "http://api.test/",
    "https://api.test.evil.test/", "https://169.254.169.254/latest/meta-data", "http://127.0.0.1:1/", "file:///etc/x",
    "https://[::ffff:169.254.169.254]/", "https://api.test\\@evil.test/", "HTTPS://EVIL.TEST/", "ftp://api.test/",
]  # fmt: skip
_NEXT_URL = "pagination := {'strategy': 'next_url', 'next_url_path': 'next'}"
LED_AWAY = [
    f"FROM apikit('{HOME}', '/redirect', {_ID})",
    f"SELECT apikit_get('{HOME}', '/redirect')",
    f"FROM apikit('{HOME}', '/link', {_ID}, pagination := 'link')",
    f"SELECT apikit_fetch('{HOME}', '/link')",
    f"FROM apikit('{HOME}', '/body', {_ID}, data_path := 'items', {_NEXT_URL})",
]
