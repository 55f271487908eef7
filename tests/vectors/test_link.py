"""Every relation that public sources see in a Link header has the target that they see, and leads to their URL."""

import time

import httpx
import pytest

from apikit_sql.engine.link import link_target
from apikit_sql.engine.pagination import PageRequest, follow
from tests.vectors import link as public
from tests.vectors.link import Resolved, Vector

TABLES = {
    "RFC 8288": public.RFC_8288,
    "httplint": public.HTTPLINT,
    "parse-link-header": public.PARSE_LINK_HEADER,
    "linkheader-parser": public.LINKHEADER_PARSER,
    "requests": public.REQUESTS,
    "httpx": public.HTTPX,
    "aiohttp": public.AIOHTTP,
    "LinkHeader": public.LINK_HEADER,
    "READMEs": public.READMES,
    "Go": public.GO,
    "Haskell": public.HASKELL,
    "Perl": public.PERL,
    "weblinking": public.WEBLINKING,
    "ours": public.OURS,
}


def headers(vector: Vector) -> httpx.Headers:
    return httpx.Headers([("Link", line) for line in vector.lines])


@pytest.mark.parametrize(
    "vector", [pytest.param(vector, id=f"{source}: {vector.name}") for source in TABLES for vector in TABLES[source]]
)
def test_each_relation_has_the_target_that_its_source_sees(vector: Vector) -> None:
    found = {relation: link_target(headers(vector), relation) for relation in vector.targets}

    assert found == vector.targets


@pytest.mark.parametrize(
    "vector",
    [pytest.param(each, id=f"{each.name} on {each.page}") for each in (*public.RESOLVED, *public.RFC_3986)],
)
def test_a_target_is_relative_to_its_page(vector: Resolved) -> None:
    link = link_target(httpx.Headers({"link": f"<{vector.link}>; rel=next"}), "next")

    found = follow(PageRequest(vector.page), link)

    assert (found and found.full_url) == vector.url


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(shape * (50_000 // len(shape)), id=shape)
        for shape in ("<", "<a>;rel=x,", "<a>;", ";a=b", '<a>;t="', "\\a", "x,", " \t", "=", "/")
    ],
)
def test_a_header_of_any_shape_is_read_in_no_time(header: str) -> None:
    # after the shapes of tests/test_hostile.py of weblinking 1.0.0
    begun = time.perf_counter()

    assert link_target(httpx.Headers({"link": f"<b>; rel=prev; title=x, <a>{header}"}), "next") is None

    assert time.perf_counter() - begun < 1
