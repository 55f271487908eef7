"""dbt's YAML: what is added, and that everything else stays."""

from typing import Any

import pytest
from ruamel.yaml import YAML

from apikit_sql.dbt.properties import Entry, escaped, with_seed, with_source
from apikit_sql.dbt.seed import SeedColumn
from apikit_sql.errors import OutputError

ENTRY = Entry("people", (SeedColumn("id", "BIGINT", tests=("not_null",)), SeedColumn("on", "VARCHAR", "Since when")))
BY_HAND = """\
---
# of the whole team
version: 2

sources:
    -   name: erp   # ours
        schema: 'raw'
        loaded_at_field: "at"

        tables:
            -   name: orders   # the old ones
                columns:
                    -   {name: id, data_tests: [unique]}
            # the last line
    -   name: apikit
        schema: "{{ target.schema }}"
        tables:
            -   name: known
"""


def read(text: str, version: str = "1.2") -> Any:
    yaml = YAML(typ="safe", pure=True)
    yaml.version = version
    return yaml.load(text)


def test_a_new_file_has_the_seed_its_types_texts_and_tests() -> None:
    text = with_seed("", Entry("people", ENTRY.columns, "Who: {{ all }}", ("crm", "a: b")), "people.yml")

    assert read(text) == {
        "version": 2,
        "seeds": [
            {
                "name": "people",
                "description": "Who: {{ '{{' }} all }}",
                "config": {
                    "tags": ["crm", "a: b"],
                    "quote_columns": True,
                    "column_types": {"id": "BIGINT", "on": "VARCHAR"},
                },
                "columns": [
                    {"name": "id", "data_type": "BIGINT", "data_tests": ["not_null"]},
                    {"name": "on", "quote": True, "description": "Since when", "data_type": "VARCHAR"},
                ],
            }
        ],
    }


@pytest.mark.parametrize(
    "name", ["on", "No", "y", "null", "1_000", "12:30", "2025-01-01", "0x1f", "a b", "é", "~", "#"]
)
def test_names_are_texts_to_the_yaml_1_1_that_dbt_reads(name: str) -> None:
    text = with_seed("", Entry("people", (SeedColumn(name, "VARCHAR"),)), "people.yml")

    assert read(text, "1.1")["seeds"][0]["columns"][0]["name"] == name


def test_a_source_is_added_and_all_that_was_written_by_hand_stays() -> None:
    text = with_source(BY_HAND, ENTRY, "sources.yml")

    lines = iter(text.splitlines())
    assert all(line in lines for line in BY_HAND.splitlines())  # in their order
    (erp, ours) = read(text)["sources"]
    assert erp == read(BY_HAND)["sources"][0]
    assert [table["name"] for table in ours["tables"]] == ["known", "people"]
    assert ours["tables"][1]["columns"][0] == {"name": "id", "data_type": "BIGINT"}


@pytest.mark.parametrize("change", [with_seed, with_source])
def test_a_second_time_changes_nothing(change: Any) -> None:
    once = change("" if change is with_seed else BY_HAND, ENTRY, "x.yml")

    assert change(once, ENTRY, "x.yml") == once


def test_a_file_of_comments_keeps_them() -> None:
    text = with_source("# ours\n\n# all\n", ENTRY, "sources.yml")

    assert text.startswith("# ours\n\n# all\nversion: 2\n")
    assert with_source(text, ENTRY, "sources.yml") == text


def test_line_ends_and_the_mark_of_windows_stay() -> None:
    text = with_source("\ufeff" + BY_HAND.replace("\n", "\r\n"), ENTRY, "sources.yml")

    assert text[0] == "\ufeff"
    assert text.count("\n") == text.count("\r\n")
    assert text[1:].replace("\r\n", "\n") == with_source(BY_HAND, ENTRY, "sources.yml")


def test_what_an_alias_shares_with_another_entry_does_not_change_there() -> None:
    text = """\
sources:
  - name: apikit
    schema: "{{ target.schema }}"
    tables:
      - name: hand
        columns: &c
          - name: id
            data_type: VARCHAR # by hand
      - name: people
        columns: *c
"""

    changed = with_source(text, ENTRY, "sources.yml")

    hand, people = read(changed)["sources"][0]["tables"]
    assert hand == {"name": "hand", "columns": [{"name": "id", "data_type": "VARCHAR"}]}
    assert people["columns"][0] == {"name": "id", "data_type": "BIGINT"}
    assert "data_type: VARCHAR # by hand" in changed


def test_comments_of_types_stay_where_a_column_comes() -> None:
    text = with_seed("", ENTRY, "people.yml").replace("id: BIGINT", "id: BIGINT # the key", 1)

    changed = with_seed(text, Entry("people", (*ENTRY.columns, SeedColumn("new", "DATE"))), "people.yml")

    assert "id: BIGINT # the key" in changed
    assert read(changed)["seeds"][0]["config"]["column_types"] == {"id": "BIGINT", "on": "VARCHAR", "new": "DATE"}


def test_a_mapping_in_a_flow_list_keeps_its_braces() -> None:
    text = "x: [{name: a}]\n"

    assert with_source(text, ENTRY, "sources.yml").startswith(text)


def test_tags_are_shown_as_they_are() -> None:
    text = with_seed("", Entry("people", (), tags=("{{ env_var('X') }}",)), "people.yml")

    assert read(text)["seeds"][0]["config"]["tags"] == ["{{ '{{' }} env_var('X') }}"]


def test_types_follow_the_data_and_what_people_wrote_of_a_column_stays() -> None:
    text = with_seed("", Entry("people", (*ENTRY.columns, SeedColumn("gone", "DATE"))), "people.yml")
    text = text.replace("data_tests:\n          - not_null", "data_tests: [unique] # by hand", 1)

    text = with_seed(
        text, Entry("people", (SeedColumn("id", "VARCHAR", "x", ("not_null",)), SeedColumn("new", "DATE"))), ""
    )

    (seed,) = read(text)["seeds"]
    assert "data_tests: [unique] # by hand" in text
    assert seed["columns"] == [
        {"name": "id", "data_type": "VARCHAR", "data_tests": ["unique"]},
        {"name": "new", "data_type": "DATE"},
    ]
    assert seed["config"]["column_types"] == {"id": "VARCHAR", "new": "DATE"}


def test_a_source_has_the_name_of_its_schema() -> None:
    text = with_source("", Entry("people", (), database="lake", schema="raw"), "sources.yml")

    (source,) = read(text)["sources"]
    assert (source["name"], source["database"], source["schema"]) == ("raw", "lake", "raw")


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("b: 1\na: [", "cannot be read as YAML: line 2: "),
        ("- a", "is no mapping, as dbt has it there"),
        ("sources: {}", "'sources' is no list"),
        ("sources: [x]", "'x' is no mapping"),
        ("sources: [{name: apikit, schema: other}]", "the source 'apikit' has another schema"),
        ("a: 1\na: 2", "cannot be read as YAML"),
    ],
)
def test_a_file_that_dbt_could_not_read_is_told_and_left_alone(text: str, wrong: str) -> None:
    with pytest.raises(OutputError, match=wrong) as told:
        with_source(text, ENTRY, "models/sources.yml")

    assert str(told.value).startswith("models/sources.yml")


def test_a_config_that_is_none_is_told() -> None:
    with pytest.raises(OutputError, match="'config' is no mapping"):
        with_seed("seeds: [{name: people, config: 1}]", ENTRY, "people.yml")


def test_jinja_is_shown_as_it_is() -> None:
    assert escaped("{{ a }} {% b %} {# c #} {{{") == "{{ '{{' }} a }} {{ '{%' }} b %} {{ '{#' }} c #} {{ '{{' }}{"
