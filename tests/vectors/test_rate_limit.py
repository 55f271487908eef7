"""Every quota that public sources see in an answer's headers is read, and nothing else is taken for one.

The structured field tests are not about rate limits. Each is put where its like stands in a RateLimit field: a number
as `r` and as `t`, a string as a policy's name, a list's integers as members, a list's items as policies with their own
parameters after `r` and `t`, and a dictionary's members after those of draft -07.
"""

import re

import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from apikit_sql.engine.limit_headers import read_quotas
from tests.vectors import rate_limit as public
from tests.vectors.rate_limit import NOW, Field, Number, Told, Vector

TABLES = {
    "draft": public.DRAFT,
    "retryheader": public.RETRYHEADER,
    "express-rate-limit": public.EXPRESS_RATE_LIMIT,
    "express-rate-limit, run": public.EXPRESS_RATE_LIMIT_RUN,
    "ratelimit-headers": public.RATELIMIT_HEADERS,
    "@fastify/rate-limit": public.FASTIFY_RATE_LIMIT,
    "prawcore": public.PRAWCORE,
    "gidgethub": public.GIDGETHUB,
    "ours": public.OURS,
}
SF_NUMBERS = (*public.NUMBER, *public.OUR_NUMBERS)
STRINGS = (*public.STRING, *public.OUR_STRINGS)
PARAM_LISTS = (*public.PARAM_LIST, *public.OUR_PARAM_LIST)
DICTIONARIES = (*public.DICTIONARY, *public.PARAM_DICTIONARY, *public.OUR_DICTIONARY)
NAMES = (
    *("RateLimit", "RateLimit-Policy", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"),
    *("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"),
    *("X-Rate-Limit-Limit", "X-Rate-Limit-Remaining", "X-Rate-Limit-Reset"),
    *("X-HubSpot-RateLimit-Max", "X-HubSpot-RateLimit-Remaining", "X-HubSpot-RateLimit-Interval-Milliseconds"),
    *("X-HubSpot-RateLimit-Daily", "X-HubSpot-RateLimit-Daily-Remaining", "X-Shopify-Shop-Api-Call-Limit"),
)
ITEM_NAME = re.compile(r"(^|,)(\s*)([a-z][a-z0-9_/]*)")  # of a list's item, in param-list.json

YEAR_1970, YEAR_3000 = 0.0, 32_503_680_000.0  # no reset is taken to be earlier, or later


def headers(*lines: str) -> httpx.Headers:
    """Header lines as they come off the wire: bytes, which need not be text."""
    fields = (line.encode().partition(b":") for line in lines)
    return httpx.Headers([(name, value.strip(b" ")) for name, _, value in fields])


def told(lines: httpx.Headers, now: float = NOW) -> set[Told]:
    """The quotas read, each reset in seconds from `now`."""
    return {(quota.limit, quota.remaining, quota.reset_at - now) for quota in read_quotas(lines, now)}


def rate_limit(lines: tuple[str, ...], tail: str = "") -> httpx.Headers:
    """A RateLimit field of `lines`, `tail` at the end of the last."""
    *first, last = lines
    return headers(*(f"RateLimit:{line}" for line in (*first, last + tail)))


@pytest.mark.parametrize(
    "vector", [pytest.param(vector, id=f"{source}: {vector.name}") for source in TABLES for vector in TABLES[source]]
)
def test_every_quota_that_is_told_is_read(vector: Vector) -> None:
    assert told(headers(*vector.lines), vector.now) == set(vector.quotas), vector.theirs


@pytest.mark.parametrize("vector", [vector for table in TABLES.values() for vector in table if vector.lines])
def test_the_case_of_a_name_tells_nothing(vector: Vector) -> None:
    fields = [line.partition(":") for line in vector.lines]

    lower, upper = ([f"{change(name)}:{text}" for name, _, text in fields] for change in (str.lower, str.upper))

    assert told(headers(*lower), vector.now) == told(headers(*upper), vector.now) == set(vector.quotas)


@pytest.mark.parametrize(("date", "moment"), public.DATES)
@pytest.mark.parametrize("prefix", ["X-RateLimit", "X-Rate-Limit"])
def test_a_reset_may_be_a_date(prefix: str, date: str, moment: float) -> None:
    (quota,) = read_quotas(headers(f"{prefix}-Remaining: 1", f"{prefix}-Reset: {date}"), moment - 30)

    assert quota.reset_at == pytest.approx(max(moment, YEAR_1970), abs=1e-6)


@pytest.mark.parametrize("date", public.NO_DATES)
def test_a_reset_is_no_date_that_there_is_not(date: str) -> None:
    assert not read_quotas(headers("X-RateLimit-Remaining: 1", f"X-RateLimit-Reset: {date}"), NOW)


def test_a_quota_is_a_value() -> None:
    line = headers('RateLimit: "default";r=50;t=30')

    assert read_quotas(line, NOW) == read_quotas(line, NOW)
    assert hash(read_quotas(line, NOW)) == hash(read_quotas(line, NOW))


# --- structured fields


@pytest.mark.parametrize("number", SF_NUMBERS, ids=lambda number: number.name)
def test_remaining_is_an_integer_that_is_not_negative(number: Number) -> None:
    found = told(headers(f'RateLimit: "n";r={number.text};t=30'))

    assert found == ({(None, number.value, 30.0)} if is_count(number) else set())


@pytest.mark.parametrize(
    "number", [number for number in SF_NUMBERS if number.name != "comma"], ids=lambda number: number.name
)
def test_a_reset_is_an_integer_that_is_not_negative(number: Number) -> None:
    quotas = read_quotas(headers(f'RateLimit: "n";r=50;t={number.text}'), NOW)

    assert [quota.reset_at for quota in quotas] == (
        [min(NOW + (number.value or 0), YEAR_3000)] if is_count(number) else []
    )


def test_a_comma_ends_a_member() -> None:
    assert told(headers('RateLimit: "n";r=50;t=2,3')) <= {(None, 50, 2.0)}


@pytest.mark.parametrize("number", SF_NUMBERS, ids=lambda number: number.name)
def test_a_number_of_a_dictionary_is_an_integer_that_is_not_negative(number: Number) -> None:
    found = told(headers(f"RateLimit: limit=100, remaining={number.text}, reset=30"))

    assert found == ({(100, number.value, 30.0)} if is_count(number) else set())


@pytest.mark.parametrize("field", STRINGS, ids=lambda field: field.name)
def test_a_policy_is_named_by_a_string(field: Field) -> None:
    found = told(rate_limit(field.lines, ";r=50;t=30"))

    assert found <= {(None, 50, 30.0)}
    assert (len(found) == 1) is (field.fate == "parses") or field.fate == "may fail"


@pytest.mark.parametrize("field", STRINGS, ids=lambda field: field.name)
def test_a_policy_is_found_by_its_name(field: Field) -> None:
    policy = [("RateLimit-Policy", f"{line};q=100;w=60".encode()) for line in field.lines[-1:]]
    fields = httpx.Headers([*rate_limit(field.lines[-1:], ";r=50;t=30").raw, *((n.encode(), v) for n, v in policy)])

    assert told(fields) == ({(100, 50, 30.0)} if field.fate == "parses" else set())


@pytest.mark.parametrize("field", public.LIST, ids=lambda field: field.name)
def test_a_list_is_read_whole_or_not_at_all(field: Field) -> None:
    lines = tuple(re.sub(r"\d+", r'"\g<0>";r=\g<0>;t=30', line) for line in field.lines)
    numbers = [int(digits) for line in field.lines for digits in re.findall(r"\d+", line)]

    assert told(rate_limit(lines)) == ({(None, n, 30.0) for n in numbers} if field.fate == "parses" else set())


@pytest.mark.parametrize("field", PARAM_LISTS, ids=lambda field: field.name)
def test_parameters_of_others_do_not_matter_and_the_last_of_one_name_counts(field: Field) -> None:
    lines = tuple(ITEM_NAME.sub(r'\1\2"\3";r=50;t=30', line) for line in field.lines)

    assert told(rate_limit(lines)) == ({(None, 50, 30.0)} if field.fate == "parses" else set())


@pytest.mark.parametrize("field", DICTIONARIES, ids=lambda field: field.name)
def test_members_of_others_do_not_matter_in_a_dictionary(field: Field) -> None:
    first, *rest = field.lines
    lines = (", ".join(filter(None, ["limit=100, remaining=50, reset=5", first])), *rest)

    assert told(rate_limit(lines)) == ({(100, 50, 5.0)} if field.fate == "parses" else set())


@pytest.mark.parametrize(
    "field",
    [*public.ITEM, *STRINGS, *public.LIST, *public.LIST_LIST, *PARAM_LISTS, *public.PARAM_LIST_LIST, *DICTIONARIES],
    ids=lambda field: field.name,
)
def test_a_field_that_is_not_about_limits_tells_none(field: Field) -> None:
    found = {name: told(headers(*(f"{name}:{line}" for line in field.lines))) for name in NAMES}

    assert not any(found.values()), found


def is_count(number: Number) -> bool:
    return isinstance(number.value, int) and number.value >= 0


# --- whatever comes

MEMBER = st.sampled_from(
    ['"a"', "a", ";", "r=", "t=", "q=", "limit=", "remaining=", "reset=", ",", "=", "(", ":", "?1"]
)
NUMBERS = st.one_of(st.integers(), st.floats(), st.integers(10**9, 10**14)).map(str)
TEXT = st.one_of(
    st.binary(max_size=40),
    st.text(max_size=40).map(str.encode),
    NUMBERS.map(str.encode),
    st.lists(MEMBER | NUMBERS, max_size=12).map("".join).map(str.encode),
    st.datetimes().map(lambda moment: moment.isoformat().encode()),
)
FIELDS = st.lists(st.tuples(st.sampled_from(NAMES).map(str.encode), TEXT), max_size=8)


@settings(max_examples=400, deadline=None, database=None)
@given(FIELDS, st.floats(0, 4e9))
@example([(b"X-RateLimit-Remaining", b"9" * 5000), (b"X-RateLimit-Reset", b"9" * 5000)], NOW)
@example([(b"X-RateLimit-Remaining", b"1"), (b"X-RateLimit-Reset", b"9999-12-31T23:59:59-23:59")], NOW)
@example([(b"X-RateLimit-Remaining", b"1"), (b"X-RateLimit-Reset", b"0001-01-01T00:00:00+23:59")], NOW)
@example([(b"X-RateLimit-Remaining", b"1"), (b"X-RateLimit-Reset", b"Fri, 31 Dec 99999 23:59:59 GMT")], NOW)
@example([(b"X-RateLimit-Remaining", b"5"), (b"X-RateLimit-Reset", b"0001-01-01T00:00:00+14:00")], NOW)
@example([(b"X-RateLimit-Remaining", b"5"), (b"X-RateLimit-Reset", b"-99999999999999999")], NOW)
@example([(b"RateLimit", b"(" * 5000)], NOW)
@example([(b"RateLimit", b'"' + b"\\" * 5001)], NOW)
@example([(b"RateLimit", b'"a";r=1;t=\xff\xfe')], NOW)
def test_no_header_raises_or_tells_less_than_nothing(fields: list[tuple[bytes, bytes]], now: float) -> None:
    quotas = read_quotas(httpx.Headers(fields), now)

    for quota in quotas:
        assert quota.remaining >= 0
        assert YEAR_1970 <= quota.reset_at <= YEAR_3000
