"""Statements that read an API, the table `{source}`, and what each must give where nothing fails for good."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

Row = tuple[object, ...]
#: The rows that must come of the API's ids and those of the table `t` (id, v), whose v is 0; or of the other API's ids.
Expected = Callable[[Sequence[int], Sequence[int]], list[Row]]

VIEW = "seen"
#: The records of `api`, as pages of one trip; `{columns}` are declared, or nothing.
PAGES = {
    "call": "apikit('api', '/items'{columns})",
    "stream": "apikit('api', 'items')",
    "attached": "api.items",
    "view": VIEW,
    "fetched whole": "(SELECT (unnest(apikit_fetch('api', '/items')) ->> '$.id')::BIGINT AS id)",
}
#: The same, where each page is a parent's.
PARENTS = {
    "keys": "apikit('api', '/of/{{n}}', keys := [{keys}]{columns})",
    "keys, skipping": "apikit('api', '/of/{{n}}', keys := [{keys}], columns := {{id: 'BIGINT'}}, on_error := 'skip')",
    "IN": "(SELECT id FROM api.parts WHERE n IN ({parents}))",
    "function of keys": "(SELECT unnest(api.parts_of(n), max_depth := 2) FROM range(1, {pages} + 1) AS p(n))",
    "got by row": """(SELECT (unnest(apikit_get('api', '/of/{{n}}', path_params := {{n: n}})::JSON[])
        ->> '$.id')::BIGINT AS id FROM range(1, {pages} + 1) AS p(n))""",
    "fetched by row": """(SELECT (unnest(apikit_fetch('api', '/of/{{n}}', path_params := {{n: n}})) ->> '$.id')::BIGINT
        AS id FROM range(1, {pages} + 1) AS p(n))""",
}


@dataclass(frozen=True)
class Way:
    """One statement. `expected` tells its rows, or those that `result` gives after it, of the API's ids and of t's.

    `first` are statements before it that read the API too, and `given` those that do not. It writes into `table`, if
    into one that is there. `reads_all` is false where
    it may stop before the last page, and `other` is true where a second API is read.
    """

    name: str
    statement: str
    expected: Expected
    result: str = ""
    first: tuple[str, ...] = ()
    given: tuple[str, ...] = ()
    table: str = "t"
    reads_all: bool = True
    other: bool = False


def _all(ids: Sequence[int], _: Sequence[int]) -> list[Row]:
    return [(each,) for each in ids]


def _after_those(ids: Sequence[int], there: Sequence[int]) -> list[Row]:
    return [*((each, 0) for each in there), *((each, 1) for each in ids)]


def _sums(ids: Sequence[int], _: Sequence[int]) -> list[Row]:
    return [(len(ids), sum(ids), max(ids, default=None))]


def _in_both(ids: Sequence[int], there: Sequence[int]) -> list[Row]:
    return [(each, 0) for each in ids if each in there]


def _shared(ids: Sequence[int], others: Sequence[int]) -> list[Row]:
    return [(each,) for each in ids if each in others]


def _union(ids: Sequence[int], others: Sequence[int]) -> list[Row]:
    return [(each,) for each in [*ids, *others]]


def _outer(ids: Sequence[int], there: Sequence[int]) -> list[Row]:
    return [(each, 0 if each in there else None) for each in ids]


def _changed(ids: Sequence[int], there: Sequence[int]) -> list[Row]:
    return [(each, int(each in ids)) for each in there]


def _merged(ids: Sequence[int], there: Sequence[int]) -> list[Row]:
    return [*_changed(ids, there), *((each, 2) for each in ids if each not in there)]


def _left(ids: Sequence[int], there: Sequence[int]) -> list[Row]:
    return [(each, 0) for each in there if each not in ids]


def _new_ones(ids: Sequence[int], there: Sequence[int]) -> list[Row]:
    return [*((each, 0) for each in there), *((each, 1) for each in ids if each not in there)]


_KEYED = ("CREATE OR REPLACE TABLE keyed AS FROM t", "CREATE UNIQUE INDEX one ON keyed (id)")
_MADE = ("CREATE OR REPLACE TABLE made AS SELECT 7 AS old",)
_READERS = {"csv": "read_csv('{file}')", "parquet": "read_parquet('{file}')", "json": "read_json('{file}')"}

WAYS = [
    Way("scan", "SELECT id FROM {source}", _all),
    Way("sums", "SELECT count(*), sum(id)::BIGINT, max(id) FROM {source}", _sums),
    Way("LIMIT", "SELECT id FROM {source} LIMIT 2", _all, reads_all=False),
    Way("CTAS", "CREATE TABLE made AS SELECT id FROM {source}", _all, "FROM made"),
    Way("CREATE OR REPLACE", "CREATE OR REPLACE TABLE made AS SELECT id FROM {source}", _all, "FROM made", given=_MADE),
    Way("INSERT", "INSERT INTO t SELECT id, 1 FROM {source}", _after_those, "FROM t"),
    Way(
        "INSERT OR IGNORE",
        "INSERT OR IGNORE INTO keyed SELECT id, 1 FROM {source}",
        _new_ones,
        "FROM keyed",
        given=_KEYED,
        table="keyed",
    ),
    Way("EXECUTE", "EXECUTE q", _all, first=("PREPARE q AS SELECT id FROM {source}",)),
    Way("join with a table", "SELECT s.id, t.v FROM {source} s JOIN t USING (id)", _in_both),
    Way("outer join", "SELECT s.id, t.v FROM {source} s LEFT JOIN t USING (id)", _outer),
    Way("join of two APIs", "SELECT a.id FROM {source} a JOIN {other} b USING (id)", _shared, other=True),
    Way("union of two APIs", "SELECT id FROM {source} UNION ALL SELECT id FROM {other}", _union, other=True),
    Way("UPDATE FROM", "UPDATE t SET v = 1 FROM {source} s WHERE s.id = t.id", _changed, "FROM t"),
    Way("DELETE IN", "DELETE FROM t WHERE id IN (SELECT id FROM {source})", _left, "FROM t"),
    Way("DELETE USING", "DELETE FROM t USING {source} s WHERE s.id = t.id", _left, "FROM t"),
    Way(
        "MERGE",
        "MERGE INTO t USING {source} s ON s.id = t.id WHEN MATCHED THEN UPDATE SET v = 1 "
        "WHEN NOT MATCHED THEN INSERT VALUES (s.id, 2)",
        _merged,
        "FROM t",
    ),
    *(
        Way(
            f"COPY TO {kind}",
            f"COPY (SELECT id FROM {{source}}) TO '{{file}}' (FORMAT {kind}{{temporary}})",
            _all,
            f"FROM {read}",
        )
        for kind, read in _READERS.items()
    ),
]
