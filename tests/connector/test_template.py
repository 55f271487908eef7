"""`{owner}` and `{site}` filled in: a value stays one part of the path, or one label of the host."""

import re
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apikit_sql.connector.template import check_path, fields_of, fill_base_url, fill_path
from apikit_sql.errors import CallError, ConfigError

URL_PATH = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/]|%[0-9A-Fa-f]{2})*")  # RFC 3986, section 3.3
FIELD = re.compile(r"\{[A-Za-z_][A-Za-z0-9_]*\}")

CHARACTERS = st.characters(exclude_categories=["Cs"])
values = st.text(CHARACTERS, min_size=1).filter(lambda text: text not in {".", ".."})


def test_fields_are_named_in_order_each_once() -> None:
    assert fields_of("/{owner}/{repo}/x/{owner}") == ("owner", "repo")
    assert fields_of("/a/{1}/{}/{a-b}/{x y}") == ()


@given(values, values)
def test_a_value_never_changes_the_number_of_path_segments(owner: str, repo: str) -> None:
    template = "/repos/{owner}/x-{repo}/issues"

    path = fill_path(template, {"owner": owner, "repo": repo})

    steps = path.split("/")
    assert len(steps) == len(template.split("/"))
    assert not {".", "..", ""} & set(steps[1:])
    assert (unquote(steps[2]), unquote(steps[3])) == (owner, "x-" + repo)


@given(values)
def test_a_filled_path_is_a_valid_path(value: str) -> None:
    assert URL_PATH.fullmatch(fill_path("/a/{x}", {"x": value}))


@given(values)
def test_a_value_is_never_filled_in_again(value: str) -> None:
    path = fill_path("/a/{x}", {"x": value + "{y}"})

    assert fill_path(path, {"y": "other"}) == path


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("a/b", "a%2Fb"),
        ("../x", "..%2Fx"),
        ("?q=1", "%3Fq%3D1"),
        ("#x", "%23x"),
        ("%2e%2e", "%252e%252e"),
        ("a b", "a%20b"),
        ("ü", "%C3%BC"),
        ("a\\b", "a%5Cb"),
        ("...", "..."),
        ("\n", "%0A"),
        ("@evil.test", "%40evil.test"),
    ],
)
def test_a_hostile_value_is_encoded(value: str, written: str) -> None:
    assert fill_path("/a/{x}", {"x": value}) == "/a/" + written


@pytest.mark.parametrize("value", ["", ".", "..", "\ud800"])
def test_a_value_that_cannot_be_part_of_a_path_is_refused(value: str) -> None:
    with pytest.raises(CallError, match=r"x = .* cannot be part of the path|cannot be written in a URL"):
        fill_path("/a/{x}", {"x": value})


def test_a_field_without_a_value_stays_open() -> None:
    assert fill_path("/{owner}/{repo}", {"owner": "a", "other": "b"}) == "/a/{repo}"


@pytest.mark.parametrize(
    ("path", "checked"),
    [
        ("/", "/"),
        ("/a/b.json", "/a/b.json"),
        ("/repos/{owner}/x", "/repos/{owner}/x"),
        ("/a b/ü", "/a%20b/%C3%BC"),
        ("/a%2Fb", "/a%2Fb"),
        ("/v1/items:batch@2;x=1,2", "/v1/items:batch@2;x=1,2"),
        ("/a...b/..c/d..", "/a...b/..c/d.."),
        ("/a\nb\t", "/a%0Ab%09"),
    ],
)
def test_a_path_holds_what_a_url_can(path: str, checked: str) -> None:
    assert check_path(path) == checked


@pytest.mark.parametrize(
    "path", ["/..", "/a/../b", "/a/.", "/./a", "/%2e%2e/a", "/a/%2E./b", "/a/.%2e", "/%2e/", "/a\\..\\b", "/a/..\\b"]
)
def test_a_path_that_climbs_is_refused(path: str) -> None:
    with pytest.raises(CallError, match=r"has a '\.' or '\.\.' step"):
        check_path(path)


@pytest.mark.parametrize("path", ["", "a", "https://evil.test/x", "?a=1", "..", "\\a"])
def test_a_path_starts_with_a_slash(path: str) -> None:
    with pytest.raises(CallError, match="must start with '/'"):
        check_path(path)


@pytest.mark.parametrize("path", ["/a?b=1", "/a#b", "/?", "/a?b#c"])
def test_a_path_brings_no_query_and_no_fragment(path: str) -> None:
    with pytest.raises(CallError, match=r"Give query parameters as params := \{'name': value\}"):
        check_path(path)


def test_a_path_with_half_a_character_is_refused() -> None:
    with pytest.raises(CallError):
        check_path("/\ud800")


@given(st.text(CHARACTERS))
def test_a_checked_path_is_a_valid_path_but_for_its_fields(text: str) -> None:
    try:
        path = check_path("/" + text)
    except CallError:
        return

    assert URL_PATH.fullmatch(FIELD.sub("x", path))


@pytest.mark.parametrize("path", ["/100%", "/a%zz/b"])
def test_what_starts_no_escape_is_encoded(path: str) -> None:
    assert URL_PATH.fullmatch(check_path(path))


@pytest.mark.parametrize("path", ["/{a-b}", "/{}", "/{x", "/x}"])
def test_braces_that_hold_no_field_are_refused_as_a_near_miss(path: str) -> None:
    with pytest.raises(CallError, match=r"which is no \{field\}"):
        check_path(path)


def test_a_base_url_is_filled_with_hostname_labels() -> None:
    url = fill_base_url("jira", "https://{site}.atlassian.net/{site}", {"site": "acme-2"})

    assert url == "https://acme-2.atlassian.net/acme-2"


@pytest.mark.parametrize(
    "value",
    [
        "",
        "a.b",
        "evil.test/",
        "a@b",
        "-a",
        "a-",
        "a b",
        "a:80",
        "ü",
        "a\n",
        "x" * 64,
        "a#",
        "a?",
        "a\\b",
        "%61",
        "{site}",
        "a_b",
    ],
)
def test_a_setting_that_is_no_hostname_label_is_refused(value: str) -> None:
    with pytest.raises(ConfigError, match=r"jira: the setting site = .* is not a hostname label"):
        fill_base_url("jira", "https://{site}.atlassian.net", {"site": value})


@pytest.mark.parametrize("values", [{}, {"site": None}])
def test_a_missing_setting_is_named(values: dict[str, str | None]) -> None:
    with pytest.raises(ConfigError, match="jira needs the setting 'site'"):
        fill_base_url("jira", "https://{site}.atlassian.net", values)


@given(st.text(max_size=70))
def test_a_value_never_changes_the_hosts_domain(value: str) -> None:
    try:
        url = fill_base_url("jira", "https://{site}.atlassian.net/x", {"site": value})
    except ConfigError:
        return

    assert re.fullmatch(r"https://[A-Za-z0-9-]{1,63}\.atlassian\.net/x", url)
