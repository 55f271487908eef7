"""A POST as it is kept: named by what names it and nothing else, its text as it came where a text can hold it."""

import json

import pytest

from apikit_sql.webhook.delivery import Naming, Post, read_delivery

NAMELESS = Naming("")
STRIPE = Naming("stripe", id_field="id", event_field="type")


def test_what_has_no_name_is_not_named_by_an_empty_key() -> None:
    found = read_delivery(Post(b'{"": "the same in each"}', {}, 0), NAMELESS, "shop", "verified")

    assert (found.id, found.event) == (None, None)


def test_an_empty_name_names_nothing() -> None:
    found = read_delivery(Post(b'{"id": "", "type": ""}', {}, 0), STRIPE, "stripe", "verified")

    assert (found.id, found.event) == (None, None)


def test_a_field_names_it_where_no_other_is_wanted() -> None:
    only_event = Naming("", event_field="type")
    found = read_delivery(Post(b'{"id": "1", "type": "a"}', {}, 0), only_event, "shop", "verified")

    assert (found.id, found.event) == (None, "a")


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        (rb'"caf \ud83d"', "caf \ufffd"),
        (rb'"\ude00 caf"', "\ufffd caf"),
        (rb'"\ud83d\ud83d\ude00"', "\ufffd\U0001f600"),
        (rb'"\uD83D\uDE00 \ud83dx"', "\U0001f600 \ufffdx"),
        (rb'"\\ud83d \\\ud83d"', "\\ud83d \\\ufffd"),
        (rb'"\ud83d\"\n"', '\ufffd"\n'),
        (rb'{"a\udead": ["\ud800"]}', {"a\ufffd": ["\ufffd"]}),
    ],
)
def test_half_of_a_character_becomes_the_mark_for_it(body: bytes, kept: object) -> None:
    found = read_delivery(Post(body, {}, 0), STRIPE, "stripe", "verified")

    assert json.loads(found.payload) == kept


@pytest.mark.parametrize("body", [rb'{"a": "\ud83d\ude00"}', b'{"a" :  "\\\\ud83d"}', '{"a": "\U0001f600"}'.encode()])
def test_a_text_that_is_whole_stays_as_it_came(body: bytes) -> None:
    assert read_delivery(Post(body, {}, 0), STRIPE, "stripe", "verified").payload == body.decode()


@pytest.mark.parametrize(
    "name", ["authorization", "x-auth", "x-password", "x-webhook-key", "authentication", "cf-access-jwt-assertion"]
)
def test_a_credential_among_the_headers_is_masked(name: str) -> None:
    found = read_delivery(Post(b"{}", {name: "secret", "x-hub-signature": "s"}, 0), STRIPE, "stripe", "verified")

    assert json.loads(found.headers) == {name: "***REDACTED***", "x-hub-signature": "s"}
