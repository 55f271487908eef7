"""Naughty strings in every place where SQL takes a text: a text arrives as it is, or is refused by an error of ours.

`python -m tests.reliability.naughty [PLACES] [SEED]`: each of the strings of `tests/vectors/blns.json` in so many
places, chosen by the seed; in all of them unless told. It is written into the statement, its quotes doubled, and
nothing else. A server of ours tells what it was sent. After a few strings DuckDB's catalog and settings, and the
files around the working folder, must be what they were.
"""

import json
import random
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import chdir, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx

import apikit_sql
from apikit_sql import ApikitError
from apikit_sql.connector.registry import ConnectorRegistry
from apikit_sql.engine.session import Session
from apikit_sql.sql.catalog import literal

STRINGS: list[str] = list(dict.fromkeys(json.loads((Path(__file__).parents[1] / "vectors" / "blns.json").read_text())))
API = "'https://api.test/v1'"
_TOGETHER = 16  # strings after which the state is looked at
_NAME = "columns := {name: 'VARCHAR'}"
_STATE = r"""
    SELECT 'table', database_name, schema_name, table_name FROM duckdb_tables()
    UNION ALL SELECT 'view', database_name, schema_name, view_name FROM duckdb_views()
    UNION ALL SELECT 'setting', name, value, '' FROM duckdb_settings()
    UNION ALL SELECT 'database', database_name, path, '' FROM duckdb_databases()
    UNION ALL SELECT 'function', database_name, function_name, count(*)::VARCHAR FROM duckdb_functions()
    WHERE function_name NOT LIKE '\_\_apikit\_of\_%' ESCAPE '\' GROUP BY ALL  -- what is behind functions of keys stays
"""


@dataclass
class Yard:
    """A connection of ours, and the server behind it: it answers with the string, and keeps what it was sent."""

    con: Any = None
    string: str = ""
    seen: list[httpx.Request] = field(default_factory=list)

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        if request.method != "GET":
            return httpx.Response(200, content=request.content, headers={"content-type": "application/json"})
        is_named = request.url.path.startswith("/v1/named")
        return httpx.Response(200, json=[{self.string: self.string} if is_named else {"name": self.string}])

    @property
    def last(self) -> httpx.Request:
        """The request of the statement."""
        (request,) = self.seen
        return request

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = self.con.execute(sql).fetchall()
        return found

    def state(self) -> set[str]:
        return {*map(str, self.rows(_STATE)), *(str(file) for file in Path("..").rglob("*"))}


@contextmanager
def yard() -> Iterator[Yard]:
    """A yard in a folder of its own."""
    made = Yard()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "inside").mkdir()
        transport = httpx.MockTransport(made.answer)
        with (
            chdir(Path(folder) / "inside"),
            closing(Session(connectors=ConnectorRegistry(), transport=transport)) as session,
            closing(apikit_sql.connect(session=session, allow_mutations=["https://api.test"])) as made.con,
        ):
            made.con.execute("CREATE TABLE mine AS SELECT 1 AS i")
            yield made


def as_connector(yard: Yard, text: str) -> None:
    """It is no connector; if it is a base URL, that host is asked and no other."""
    yard.rows(f"FROM apikit({text}, '/x', {_NAME})")
    assert str(yard.last.url).startswith(yard.string.partition("%")[0])


def as_path(yard: Yard, text: str) -> None:
    yard.rows(f"FROM apikit({API}, '/' || {text}, {_NAME})")
    sent = yard.last.url.raw_path.decode()
    assert yard.last.url.host == "api.test"
    assert sent.startswith("/v1/")
    assert unquote(sent[4:]) == unquote(yard.string)


def as_path_parameter(yard: Yard, text: str) -> None:
    yard.rows(f"FROM apikit({API}, '/a/{{n}}/z', path_params := {{n: {text}}}, {_NAME})")
    before, _, rest = yard.last.url.raw_path.decode().partition("/a/")
    assert (before, unquote(rest.removesuffix("/z")), rest.count("/")) == ("/v1", yard.string, 1)


def as_key(yard: Yard, text: str) -> None:
    ((name, key),) = yard.rows(f"SELECT name, n FROM apikit({API}, '/{{n}}', keys := [{{n: {text}}}], {_NAME})")
    assert (name, key, unquote(yard.last.url.raw_path.decode()[4:])) == (yard.string,) * 3


def as_query_value(yard: Yard, text: str) -> None:
    yard.rows(f"FROM apikit({API}, '/x', params := {{a: 'b', q: {text}, z: [{text}, 'y']}}, {_NAME})")
    assert yard.last.url.params.multi_items() == [("a", "b"), ("q", yard.string), ("z", yard.string), ("z", "y")]


def as_query_name(yard: Yard, text: str) -> None:
    yard.rows(f"FROM apikit({API}, '/x', params := MAP {{{text}: 'v'}}, {_NAME})")
    assert yard.last.url.params.multi_items() == [(yard.string, "v")]


def as_filter_value(yard: Yard, text: str) -> None:
    pushed = f"FROM apikit({API}, '/x', {_NAME}, filters := {{name: 'q'}}) WHERE name"
    assert yard.rows(f"{pushed} = {text}") == [(yard.string,)]
    assert yard.last.url.params.get("q") == yard.string
    assert yard.rows(f"{pushed} IN ({text}, 'no other')") == [(yard.string,)]


def as_header(yard: Yard, text: str) -> None:
    yard.rows(f"FROM apikit({API}, '/x', headers := {{'X-A': {text}}}, {_NAME})")
    assert yard.last.headers["x-a"] == yard.string.strip(" \t")


def as_header_name(yard: Yard, text: str) -> None:
    yard.rows(f"FROM apikit({API}, '/x', headers := MAP {{{text}: 'v'}}, {_NAME})")
    assert yard.last.headers[yard.string] == "v"


def as_inferred_column(yard: Yard, text: str) -> None:
    if not yard.string:
        return  # DuckDB itself knows no such name
    result = yard.con.execute(f"FROM apikit({API}, '/named/{_number(yard)}') WHERE {_quoted(text)} = {text}")
    assert (result.description[0][0], result.fetchall()) == (yard.string, [(yard.string,)])


def as_declared_column(yard: Yard, text: str) -> None:
    if not yard.string:
        return
    rows = yard.rows(f"SELECT {_quoted(text)} FROM apikit({API}, '/named', columns := MAP {{{text}: 'VARCHAR'}})")
    assert rows == [(yard.string,)]


def as_data_path(yard: Yard, text: str) -> None:
    yard.rows(f"FROM apikit({API}, '/x', data_path := {text}, {_NAME})")


def as_filter_name(yard: Yard, text: str) -> None:
    yard.rows(f"FROM apikit({API}, '/x', filters := MAP {{{text}: 'q'}}, {_NAME})")


def as_stream(yard: Yard, text: str) -> None:
    yard.rows(f"FROM apikit('demo', {text})")
    assert yard.string.startswith("/")


def as_table_name(yard: Yard, _: str) -> None:
    if yard.string.startswith("/"):
        return  # demo://... is DuckDB's own
    yard.rows(f"FROM {literal('demo:/' + yard.string)}")
    assert yard.last.url.host == "127.0.0.1"


def as_body(yard: Yard, text: str) -> None:
    yard.rows(f"CREATE TEMP TABLE sent AS SELECT apikit_post({API}, '/x', {{a: {text}, b: [{text}]}}) AS r")
    try:
        assert json.loads(yard.last.content) == {"a": yard.string, "b": [yard.string]}
        ((status, a, error),) = yard.rows("SELECT r.status, r.body ->> 'a', r.error FROM sent")
        assert (status, a, error) == (200, yard.string, None)
    finally:
        yard.rows("DROP TABLE sent")


def as_path_of_a_change(yard: Yard, text: str) -> None:
    yard.rows(f"CREATE TEMP TABLE sent AS SELECT apikit_delete({API}, '/{{n}}', path_params := {{n: {text}}}) AS r")
    ((error,),) = yard.rows("SELECT r.error FROM sent")
    yard.rows("DROP TABLE sent")
    if yard.seen:
        assert unquote(yard.last.url.raw_path.decode()[4:]) == yard.string
    else:
        assert error.startswith("not sent: ")


def as_variable_of_graphql(yard: Yard, text: str) -> None:
    query = "query($a: String) { a(a: $a) { name } }"
    try:
        yard.rows(f"FROM apikit_graphql({API}, '{query}', variables := {{a: {text}}}, {_NAME})")
    finally:
        assert not yard.seen or json.loads(yard.last.content)["variables"] == {"a": yard.string}


def as_query_of_graphql(yard: Yard, text: str) -> None:
    yard.rows(f"FROM apikit_graphql({API}, {text}, {_NAME})")


def as_row(yard: Yard, text: str) -> None:
    ((body,),) = yard.rows(f"SELECT apikit_get({API}, '/{{n}}', path_params := {{n: {text}}}, params := {{q: {text}}})")
    assert json.loads(body) == [{"name": yard.string}]
    assert yard.last.url.params.get("q") == yard.string


def as_catalog(yard: Yard, text: str) -> None:
    yard.rows(f"CALL apikit_attach('demo', name := {text})")
    yard.rows(f"CALL apikit_detach({text})")


def as_attached_connector(yard: Yard, text: str) -> None:
    yard.rows(f"CALL apikit_attach({text})")


def as_name_asked_for(yard: Yard, text: str) -> None:
    asked = ["apikit_rate_limits", "apikit_last_error", "apikit_help", "apikit_webhooks", "apikit_webhook_stop"]
    for function in asked:
        rows = yard.rows(f"FROM {function}({text})")
        assert rows == ([(yard.string, False)] if function == "apikit_webhook_stop" else []), function


def as_connector_asked_for(yard: Yard, text: str) -> None:
    rows = yard.rows(f"SELECT name, configured FROM apikit_connectors({text})")
    assert rows in ([], [(yard.string, False)])
    yard.rows(f"FROM apikit_streams({text})")


def as_statement(yard: Yard, text: str) -> None:
    yard.rows(f"FROM apikit_explain({text})")


def as_exported_name(yard: Yard, text: str) -> None:
    yard.rows(f"FROM apikit_dbt_export_query('SELECT 1 AS a', name := {text})")
    _only_in_the_working_folder()


def as_folder(yard: Yard, text: str) -> None:
    yard.rows(f"FROM apikit_dbt_export_query('SELECT 1 AS a', name := 'a', output_dir := {text})")
    _only_in_the_working_folder()


def as_webhook(yard: Yard, text: str) -> None:
    yard.rows(f"FROM apikit_webhook_start({text}, {text}, {text})")


def _number(yard: Yard) -> int:
    """What tells the path of a string: columns that were inferred hold for the session."""
    return STRINGS.index(yard.string)


def _quoted(text: str) -> str:
    """A text of SQL as a name of SQL."""
    return '"' + text[1:-1].replace("''", "'").replace('"', '""') + '"'


def _only_in_the_working_folder() -> None:
    """Nothing but what was exported is there, and that is taken away again."""
    assert [file.name for file in Path("..").iterdir()] == ["inside"]
    for file in sorted(Path().rglob("*"), reverse=True):
        assert file.name.endswith((".csv", ".yml")) or file.is_dir()
        (Path.rmdir if file.is_dir() else Path.unlink)(file)


Place = Callable[[Yard, str], None]
PLACES: list[Place] = [place for name, place in list(globals().items()) if re.match(r"as_[a-z]", name)]


def trouble(yard: Yard, place: Place, string: str) -> tuple[str, bool]:
    """What went wrong with `string` in this place, and whether it was refused by an error of ours."""
    yard.string, yard.seen[:] = string, []
    try:
        place(yard, literal(string))
    except ApikitError:
        return "", True
    except Exception as error:  # noqa: BLE001 - of any kind, for it is only told
        return f"{place.__name__}({string!r}): {type(error).__name__}: {error}", False
    return "", False


def run(places: int, seed: int) -> tuple[int, int, list[str]]:
    """How many texts were tried, how many of them refused, and what went wrong."""
    chance, tried, refused, found = random.Random(seed), 0, 0, []
    with yard() as here:
        before = here.state()
        for number, string in enumerate(STRINGS):
            for place in chance.sample(PLACES, min(places, len(PLACES))):
                wrong, is_refused = trouble(here, place, string)
                tried, refused = tried + 1, refused + is_refused
                found += [wrong] if wrong else []
            if number % _TOGETHER == 0 and (after := here.state()) != before:
                found.append(f"{STRINGS[max(0, number - _TOGETHER) : number + 1]} changed {after ^ before}")
                before = after
        if here.state() != before:
            found.append(f"one of the last strings changed {here.state() ^ before}")
    return tried, refused, found


def main() -> None:
    places, seed = (int(text) for text in (*sys.argv[1:], *(str(len(PLACES)), "1")[len(sys.argv) - 1 :]))
    tried, refused, found = run(places, seed)
    print(f"{len(STRINGS)} strings, {tried:,} texts: {tried - refused - len(found):,} as they are, {refused:,} refused")  # noqa: T201
    if found:
        raise SystemExit("\n".join(found))


if __name__ == "__main__":
    main()
