"""The arguments of one apikit(): read from DuckDB's JSON, refused with what to write instead."""

import json
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apikit_sql.connector.manifest import KeyColumn
from apikit_sql.errors import CallError
from apikit_sql.plan.call import Call, filter_key_columns, read_call
from apikit_sql.plan.values import query_params

LEAST: dict[str, Any] = {"connector": "api", "path": "/x"}


def read(**options: object) -> Call:
    return read_call(json.dumps(LEAST | options))


def params_of(struct: str) -> list[tuple[str, str]]:
    """The query parameters of `params := {struct}`, by way of DuckDB's own JSON and type."""
    ((values, sql_type),) = duckdb.execute(
        f"SELECT to_json(p)::VARCHAR, typeof(p) FROM (SELECT {struct} AS p)"
    ).fetchall()
    call = read_call(json.dumps(LEAST | {"params_type": sql_type})[:-1] + f', "params": {values}}}')
    return list(query_params("params", call.params, call.params_type))


def test_absent_and_null_options_take_their_defaults() -> None:
    call = read(params=None, pages=None, columns=None, nested=None, headers=None)

    assert call == Call(connector="api", path="/x")
    assert (call.pages, call.nested, call.columns, call.params) == (None, "struct", None, {})


def test_all_pages_are_the_default() -> None:
    assert read(pages="all") == read()


def test_every_option_is_read() -> None:
    call = read(
        params={"q": "x"},
        path_params={"a": 1},
        data_path="data",
        pages=2,
        pagination="link",
        page_size=10,
        max_pages=5,
        columns={"a": "BIGINT"},
        nested="flatten",
        filters={"a": "a"},
        headers={"X-A": "b"},
        timeout=1.5,
        keys=[{"a": 1}],
        sample_pages=3,
        on_drift="null",
        extra=True,
        concurrency=4,
        on_error="skip",
        max_wait=0,
        max_requests=7,
    )

    assert (call.params, call.path_params, call.data_path, call.pages) == ({"q": "x"}, {"a": 1}, "data", 2)
    assert (call.strategy, call.page_size, call.max_pages, call.timeout) == ("link", 10, 5, 1.5)
    assert call.columns is not None
    assert call.columns["a"].type == "BIGINT"
    assert (call.nested, call.filters, call.headers) == ("flatten", {"a": "a"}, {"X-A": "b"})
    assert (call.keys, call.sample_pages, call.on_drift, call.extra) == (({"a": 1},), 3, "null", True)
    assert (call.concurrency, call.on_error, call.max_wait, call.max_requests) == (4, "skip", 0, 7)


@pytest.mark.parametrize(
    "option",
    [
        "params", "path_params", "columns", "types", "filters", "headers", "pages", "path", "pagination", "keys",
        "sample_pages", "on_drift", "concurrency", "on_error", "max_wait", "max_requests",
    ],
)  # fmt: skip
def test_a_boolean_is_a_comparison_written_by_mistake(option: str) -> None:
    with pytest.raises(CallError, match=f"apikit: {option} is a boolean. Options are written name := value"):
        read(**{option: True})


@pytest.mark.parametrize("value", [5, "abc", 1.5, ["a"], "[1]", "5"])
def test_params_that_are_no_object_are_told_how_options_are_written(value: object) -> None:
    with pytest.raises(CallError, match=r"params.*name := value"):
        read(params=value)


def test_an_object_may_be_given_as_json_text() -> None:
    call = read(params='{"a": [1, 2.0], "b": null}', columns='{"a": "BIGINT"}', headers='{"X-A": "b"}')

    assert call.params == {"a": [1, 2], "b": None}
    assert call.columns is not None
    assert call.headers == {"X-A": "b"}


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("pages", 0),
        ("pages", -1),
        ("pages", 2.5),
        ("pages", "some"),
        ("page_size", 0),
        ("max_pages", 0),
        ("timeout", 0),
        ("timeout", "soon"),
        ("nested", "deep"),
        ("columns", {"a": "WIBBLE"}),
        ("columns", {"a": 5}),
        ("columns", "abc"),
        ("types", {"a": {"type": "BIGINT", "format": "x"}}),
        ("headers", {"a": {}}),
        ("pagination", 5),
        ("wibble", 1),
        ("pagination", {"strategy": "cursor"}),
        ("pagination", {"strategy": "x"}),
        ("pagination", {"wibble": 1}),
        ("keys", 5),
        ("keys", "abc"),
        ("keys", {"a": 1}),
        ("keys", [1]),
        ("keys", [None]),
        ("keys", [[1]]),
        ("sample_pages", 0),
        ("sample_pages", 1.5),
        ("sample_pages", "all"),
        ("on_drift", "ignore"),
        ("on_drift", ""),
        ("extra", "perhaps"),
        ("extra", {"a": 1}),
        ("concurrency", 0),
        ("concurrency", 65),
        ("concurrency", 2.5),
        ("concurrency", "many"),
        ("on_error", "ignore"),
        ("on_error", 404),
        ("max_wait", -1),
        ("max_wait", "soon"),
        ("max_wait", "nan"),
        ("max_requests", 0),
        ("max_requests", -5),
        ("max_requests", "many"),
    ],
)
def test_what_is_wrong_with_an_option_is_told_with_its_name(option: str, value: object) -> None:
    with pytest.raises(CallError) as caught:
        read(**{option: value})

    text = str(caught.value)
    assert text.startswith(f"apikit: {option}")
    assert "function-after" not in text
    assert "literal[" not in text
    assert "constrained-int" not in text


def test_a_strategy_that_is_not_whole_tells_what_it_needs() -> None:
    with pytest.raises(CallError, match="strategy 'cursor' needs cursor_param"):
        read(pagination={"strategy": "cursor"})


def test_json_text_nested_too_deeply_is_refused() -> None:
    with pytest.raises(CallError):
        read(params="[" * 100_000)


@pytest.mark.parametrize("header", ["Authorization", "cookie", "X-Api-Key", "X-My-Token", "proxy-authorization"])
def test_a_header_with_a_credential_is_refused_and_not_shown(header: str) -> None:
    with pytest.raises(CallError, match=f"the header '{header}' carries a credential, which SQL must not") as caught:
        read(headers={header: "s3cret"})

    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [
        {"params": {"api_key": "s3cret"}},
        {"params": {"access_token": "s3cret"}},
        {"params": '{"client_secret": "s3cret"}'},
        {"params": {"q": "env:s3cret"}},
        {"params": {"q": ["a", "env:s3cret"]}},
        {"path_params": {"a": "keyring:s3cret"}},
        {"path_params": {"password": "s3cret"}},
        {"headers": {"X-A": "Bearer env:s3cret"}},
        {"method": "POST", "body": {"filter": [{"api_key": "s3cret"}]}},
    ],
)
def test_neither_secrets_nor_references_stand_in_sql(options: dict[str, Any]) -> None:
    with pytest.raises(CallError, match="carries a credential, which SQL must not") as caught:
        read(**options)

    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("name", ["key", "token", "signature", "auth"])
def test_a_parameter_of_many_innocent_uses_is_taken(name: str) -> None:
    assert read(params={name: "x"}).params == {name: "x"}


def test_a_list_repeats_its_key_and_null_omits_it() -> None:
    pairs = query_params("params", {"a": [1, None, "x"], "b": None, "c": [], "d": True, "e": [False]}, "")

    assert pairs == (("a", "1"), ("a", "x"), ("d", "true"), ("e", "false"))


@pytest.mark.parametrize("value", [{"x": 1}, [{"x": 1}], [[1]]])
def test_a_parameter_is_no_object(value: object) -> None:
    with pytest.raises(CallError, match=r"apikit: params\.a is an object"):
        query_params("params", {"a": value}, "")


@pytest.mark.parametrize(
    ("sql", "text"),
    [
        ("1", "1"),
        ("-7", "-7"),
        ("1.0", "1"),
        ("1.50::DOUBLE", "1.5"),
        ("1e20::DOUBLE", "100000000000000000000"),
        ("9007199254740992::DOUBLE", "9007199254740992"),
        ("12345678901234567890.00", "12345678901234567890"),
        ("epoch(TIMESTAMP '2026-01-01')", "1767225600"),
        ("0.1", "0.1"),
        ("170141183460469231731687303715884105727", "170141183460469231731687303715884105727"),
        ("true", "true"),
        ("'a b&c'", "a b&c"),
        ("''", ""),
        ("DATE '2026-01-05'", "2026-01-05"),
    ],
)
def test_a_value_goes_out_as_it_is_and_whole_numbers_without_point(sql: str, text: str) -> None:
    assert params_of(f"{{a: {sql}}}") == [("a", text)]


@pytest.mark.parametrize(
    ("sql", "text"),
    [
        ("TIMESTAMP '2026-01-05 10:00:00'", "2026-01-05T10:00:00Z"),
        ("TIMESTAMP '2026-01-05 10:00:00.5'", "2026-01-05T10:00:00.500000Z"),
        ("TIMESTAMPTZ '2026-01-05 10:00:00+02'", "2026-01-05T08:00:00Z"),
        ("TIMESTAMPTZ '2026-01-05 10:00:00-03:30'", "2026-01-05T13:30:00Z"),
        ("'2026-01-05 10:00:00'::TIMESTAMP_S", "2026-01-05T10:00:00Z"),
        ("'2026-01-05 10:00:00'::TIMESTAMP_MS", "2026-01-05T10:00:00Z"),
        ("'2026-01-05 10:00:00'::TIMESTAMP_NS", "2026-01-05T10:00:00Z"),
    ],
)
@pytest.mark.parametrize("shape", ["{{since: {}}}", "{{since: [{}]}}", "MAP {{'since': {}}}", "MAP {{'since': [{}]}}"])
def test_a_time_goes_out_as_rfc_3339_in_utc(sql: str, text: str, shape: str) -> None:
    assert params_of(shape.format(sql)) == [("since", text)]


def test_a_time_is_known_by_its_own_field_only() -> None:
    struct = "{'Since At': TIMESTAMP '2026-01-05', x: '2026-01-05 10:00:00', n: 1.25, d: [DATE '2026-01-05']}"

    assert params_of(struct) == [
        ("Since At", "2026-01-05T00:00:00Z"),
        ("x", "2026-01-05 10:00:00"),
        ("n", "1.25"),
        ("d", "2026-01-05"),
    ]


def test_a_time_whose_name_holds_quotes_is_known() -> None:
    assert params_of("""{'say "hi"': TIMESTAMP '2026-01-05', t: NULL::TIMESTAMP}""") == [
        ('say "hi"', "2026-01-05T00:00:00Z")
    ]


@pytest.mark.parametrize(
    "text", ["infinity", "10000-01-01 00:00:00", "0044-03-15 (BC) 00:00:00", "0001-01-01 00:00:00+05"]
)
def test_a_time_that_rfc_3339_cannot_say_is_refused(text: str) -> None:
    with pytest.raises(CallError, match="cannot go into a URL"):
        query_params("params", {"a": text}, "STRUCT(a TIMESTAMP WITH TIME ZONE)")


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=9) | st.integers() | st.booleans(), max_size=4))
def test_scalar_parameters_keep_their_number_and_their_order(values: dict[str, Any]) -> None:
    pairs = query_params("params", values, "")

    assert [name for name, _ in pairs] == list(values)


def test_filters_are_key_columns() -> None:
    keys = filter_key_columns({"state": "state", "updated_at >=": "since", " user.login = ": "creator", "n<": "below"})

    assert keys == (
        KeyColumn(column="state", operators=("=",), param="state"),
        KeyColumn(column="updated_at", operators=(">=",), param="since"),
        KeyColumn(column="user.login", operators=("=",), param="creator"),
        KeyColumn(column="n", operators=("<",), param="below"),
    )


def test_a_column_of_a_filter_may_hold_spaces() -> None:
    assert filter_key_columns({"first name >": "n"}) == (KeyColumn(column="first name", operators=(">",), param="n"),)


@pytest.mark.parametrize(
    ("key", "param"),
    [("", "x"), (">=", "x"), ("a", ""), ("a !=", "x"), ("a <>", "x"), ("a ==", "x"), ("a =>", "x"), ("a\nb", "x")],
)
def test_a_filter_that_is_no_column_and_operator_is_refused(key: str, param: str) -> None:
    with pytest.raises(CallError, match=r"write \{'column': 'parameter', 'column >=': 'parameter'\}"):
        filter_key_columns({key: param})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[" * 5_000,
        r'{"\udfff": 1}',
        r'{"a": ["\uD83D"]}',
        '{"pages": ' + "9" * 5_000 + "}",
        '{"a": ' + "9" * 5_000 + ".0}",
    ],
)
def test_arguments_that_cannot_be_read_are_an_error(text: str) -> None:
    with pytest.raises(CallError, match="the arguments cannot be read: "):
        read_call(text)


def test_an_option_may_hold_a_surrogate_pair_but_not_half_of_one() -> None:
    usual = {"connector": "demo", "path": "/x"}

    whole, half = (json.dumps(usual | {"columns": rf'{{"{name}": "BIGINT"}}'}) for name in (r"\ud83d\ude00", r"\ud83d"))

    assert list(read_call(whole).columns or ()) == ["\N{GRINNING FACE}"]
    with pytest.raises(CallError, match="columns is not an object"):
        read_call(half)


@pytest.mark.parametrize("text", ["[]", "null", "3", '"connector"'])
def test_arguments_are_an_object(text: str) -> None:
    with pytest.raises(CallError, match="the arguments are no object of names and values"):
        read_call(text)


@pytest.mark.parametrize("sql_type", ["STRUCT(", "STRUCT(a", "MAP()", "VARCHAR[", "(" * 3_000])
def test_a_type_that_duckdb_would_not_write_is_an_error(sql_type: str) -> None:
    with pytest.raises(CallError, match="the type of an option cannot be read"):
        query_params("params", {"a": "b"}, sql_type)
