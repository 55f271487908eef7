"""One row's mutation as a request: what is sent, in which form, and by which key it may be sent again."""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apikit_sql.connector.manifest import ConnectorDefinition
from apikit_sql.errors import CallError
from apikit_sql.plan.call import read_call
from apikit_sql.plan.mutation import Mutation, idempotency_key, plan_mutation
from apikit_sql.plan.planner import reads_by_post
from apikit_sql.plan.values import body_bytes, form_bytes

PLAIN = ConnectorDefinition.model_validate(
    {
        "name": "acme",
        "base_url": "https://api.acme.test/v1/",
        "params": {"locale": "en", "state": "all"},
        "headers": {"X-Version": "3"},
        "timeout": 7,
        "verify_ssl": False,
        "read_posts": ["/search"],
        "streams": {"found": {"path": "/find", "method": "POST"}, "items": {"path": "/items"}},
    }
)
KEYED = PLAIN.model_copy(update={"idempotency_header": "X-Once", "body_format": "form"})


def planned(connector: ConnectorDefinition = PLAIN, key: str | None = None, **arguments: Any) -> Mutation:
    call = read_call(json.dumps({"connector": "acme", "path": "/items", **arguments}))
    return plan_mutation(call, "PATCH", connector, key, 9)


def test_a_mutation_is_what_its_row_says_and_the_connector_adds() -> None:
    mutation = planned(
        path="/items/{id}", path_params={"id": "a/b"}, params={"state": None, "n": [1, 2]}, body={"x": [None, True]}
    )

    request = mutation.request
    assert (request.method, request.base_url, request.path) == ("PATCH", "https://api.acme.test/v1", "/items/a%2Fb")
    assert request.params == (("locale", "en"), ("n", "1"), ("n", "2"))
    assert json.loads(request.body or b"") == {"x": [None, True]}
    assert (request.body_type, request.headers) == ("application/json", (("X-Version", "3"),))
    assert (request.timeout, request.max_wait, request.verify_ssl) == (7, 9, False)
    assert mutation.key is None


def test_a_row_without_a_body_sends_none() -> None:
    assert planned().request.body is None


def test_without_a_key_no_status_is_tried_again() -> None:
    assert planned().request.retry.retry_on_status == ()
    assert planned().request.retry.max_attempts == PLAIN.retry.max_attempts


def test_with_a_key_it_goes_along_and_the_retries_are_those_of_reads() -> None:
    mutation = planned(KEYED, "k-1", body={"a": 1})

    assert mutation.key == "k-1"
    assert dict(mutation.request.headers) == {"X-Version": "3", "X-Once": "k-1"}
    assert mutation.request.retry == KEYED.retry
    assert (mutation.request.body, mutation.request.body_type) == (b"a=1", "application/x-www-form-urlencoded")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"path": "items"}, "must start with '/'"),
        ({"path": "/a/../b"}, "'..' step"),
        ({"path": "/items/{id}"}, r"nothing fills \{id\} in /items/\{id\}\. Say path_params := \{'id': \.\.\.\}"),
        ({"path": "/items/{id}", "path_params": {"id": None}}, "path_params.id is NULL"),
        ({"path": "/items/{id}", "path_params": {"id": ""}}, "cannot be part of the path"),
        ({"params": {"a": {"b": 1}}}, "params.a is an object"),
    ],
)
def test_what_cannot_be_asked_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(CallError, match=message):
        planned(**arguments)


class TestKeys:
    def test_an_api_that_knows_none_gets_none(self) -> None:
        assert idempotency_key(PLAIN, None) is None

    def test_a_key_that_would_not_be_sent_is_refused(self) -> None:
        with pytest.raises(CallError, match="acme has no idempotency_header"):
            idempotency_key(PLAIN, "mine")

    @pytest.mark.parametrize("connector", [PLAIN, KEYED])
    def test_an_empty_key_is_refused(self, connector: ConnectorDefinition) -> None:
        with pytest.raises(CallError, match="the idempotency_key is empty"):
            idempotency_key(connector, " ")

    def test_the_key_is_the_one_given_or_a_new_one_each_time(self) -> None:
        assert idempotency_key(KEYED, "mine") == "mine"
        assert idempotency_key(KEYED, None, lambda: 5) == "5"
        assert len({idempotency_key(KEYED, None) for _ in range(100)}) == 100


@pytest.mark.parametrize(
    ("path", "reads"), [("/search", True), ("found", True), ("items", False), ("/items", False), ("/search/x", False)]
)
def test_a_post_reads_where_a_stream_or_a_pattern_says_so(path: str, *, reads: bool) -> None:
    assert reads_by_post(PLAIN, path) is reads


class TestBodies:
    def test_a_form_has_brackets_as_stripe_reads_them(self) -> None:
        body = {"items": [{"price": "p_1", "quantity": 2}], "metadata": {"a b": "ü&="}, "on": True, "off": None}

        assert parse_qsl(form_bytes(body).decode()) == [
            ("items[0][price]", "p_1"),
            ("items[0][quantity]", "2"),
            ("metadata[a b]", "ü&="),
            ("on", "true"),
        ]

    def test_a_list_is_no_form(self) -> None:
        with pytest.raises(CallError, match="takes forms, so its body is an object"):
            form_bytes([1])

    @pytest.mark.parametrize("number", [float("nan"), float("inf")])
    def test_json_has_no_number_that_is_none(self, number: float) -> None:
        with pytest.raises(CallError, match="a number that is none"):
            body_bytes({"a": number})

    def test_json_has_no_decimal(self) -> None:
        with pytest.raises(CallError, match="the body cannot be sent: Object of type Decimal"):
            body_bytes({"a": Decimal(1)})

    @given(
        st.dictionaries(
            st.text("ab", min_size=1),
            st.recursive(
                st.text("xyé&=[ ") | st.integers(),
                lambda inner: (
                    st.lists(inner, max_size=3) | st.dictionaries(st.text("cd", min_size=1), inner, max_size=3)
                ),
                max_leaves=8,
            ),
            max_size=3,
        )
    )
    def test_a_form_holds_every_leaf_under_its_path(self, body: dict[str, Any]) -> None:
        found = parse_qsl(form_bytes(body).decode(), keep_blank_values=True)

        assert found == [(name, str(leaf)) for name, leaf in leaves(body)]


def leaves(body: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The leaves of `body`, each with its path in brackets, found without recursion."""
    waiting = list(reversed(body.items()))
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, dict):
            waiting += [(f"{name}[{key}]", each) for key, each in reversed(value.items())]
        elif isinstance(value, list):
            waiting += [(f"{name}[{n}]", value[n]) for n in reversed(range(len(value)))]
        else:
            yield name, value
