"""A page that no API has sent."""

import pytest

from apikit_sql.engine.steps import page_of
from apikit_sql.errors import DecodeError


def test_records_of_the_callers_are_a_page() -> None:
    page = page_of(b'[{"a": 1}, 2]', "records", 3)

    assert [bytes(record) for record in page.envelope.records] == [b'{"a": 1}', b"2"]
    assert (page.url, page.number, page.size) == ("records", 3, 13)


def test_what_is_no_list_of_records_is_told() -> None:
    with pytest.raises(DecodeError):
        page_of(b"7", "records")
