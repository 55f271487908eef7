"""What public projects read in Link headers.

RFC_8288: the examples of RFC 8288, 3.5 (code components under the IETF Trust's Revised BSD licence).
HTTPLINT: httplint/field/parsers/link.py of httplint 2026.10.4 by Mark Nottingham, the author of RFC 8288 (MIT), whole
    but for cases that differ from another only in the notes that its linter adds.
PARSE_LINK_HEADER: test/parse-link-header.js of parse-link-header 2.0.0 on npm (MIT). linkheader_parser 0.6 on PyPI
    (Apache-2.0) tests the same headers.
LINKHEADER_PARSER: src/linkheader-parser.spec.js of linkheader-parser 0.1.2 on npm (MIT).
REQUESTS: tests/test_utils.py and tests/test_requests.py of requests 2.34.2 (Apache-2.0).
HTTPX: tests/models/test_responses.py of httpx 0.28.1 (BSD-3-Clause); its test_headers.py has the cases of requests.
AIOHTTP: tests/test_client_response.py of aiohttp 3.14.5 (Apache-2.0).
LINK_HEADER: the doctests of LinkHeader 0.4.3 on PyPI (BSD).
READMES: the examples in the READMEs of httplink 0.2.0 on PyPI, http-link-header 1.1.4 on npm and links-from-link-header
    0.1.0 on PyPI (all MIT).
GO: link_test.go of github.com/peterhellberg/link 1.0.0 (MIT); link_test.go of github.com/tent/http-link-go at ac974c6
    (BSD-3-Clause) has the examples of RFC 5988.
HASKELL: test-suite/Network/HTTP/Link/ParserSpec.hs of http-link-header 1.2.1 on Hackage (Unlicense).
PERL: t/01basic.t of HTTP-Link-Parser 0.200 on CPAN (MIT), whose page is http://example.org/subject.
WEBLINKING: tests/test_parse.py and tests/test_model.py of weblinking 1.0.0 on PyPI (MIT).
RESOLVED: relative targets, of aiohttp, LinkHeader and HTTP-Link-Parser as above.
RFC_3986: the examples of RFC 3986, 5.4 as tests/models/test_url.py of httpx 0.28.1 has them.
OURS: our own, no one else's; the providers' forms are made after their documentation, not copied from it.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Vector:
    """The header lines of one answer, and the target of each relation; `theirs` where the source says otherwise."""

    name: str
    lines: tuple[str, ...]
    targets: dict[str, str | None] = field(default_factory=dict)
    theirs: str = ""


@dataclass(frozen=True)
class Resolved:
    """A page, a link on it and the URL that it leads to, None where there is none to follow."""

    name: str
    page: str
    link: str
    url: str | None
    theirs: str = ""


_HTTPLINT_LIST = '<http://example.com/a,b>; rel=next, </c,d,e>; rel=prev; title="x,y", </f>; rel=up'
_MEMENTO = (
    '<//www.w3.org/wiki/LinkHeader>; rel="original latest-version",'
    '<//www.w3.org/wiki/Special:TimeGate/LinkHeader>; rel="timegate",'
    '<//www.w3.org/wiki/Special:TimeMap/LinkHeader>; rel="timemap"; type="application/link-format"; '
    'from="Mon, 03 Sep 2007 14:52:48 GMT"; until="Tue, 16 Jun 2015 22:59:23 GMT",'
    '<//www.w3.org/wiki/index.php?title=LinkHeader&oldid=10152>; rel="first memento"; '
    'datetime="Mon, 03 Sep 2007 14:52:48 GMT",'
    '<//www.w3.org/wiki/index.php?title=LinkHeader&oldid=84697>; rel="last memento"; '
    'datetime="Tue, 16 Jun 2015 22:59:23 GMT"'
)
_GITHUB = "https://api.github.com/user/9287/repos"
_WORRY = "https://imaginary.url.notreal/?name=What,+me+worry"
_MATRIX = "https://imaginary.url.notreal/segment;foo=bar;baz/item?name=What,+me+worry"
_KENNETH = "https://api.github.com/users/kennethreitz/repos"

RFC_8288 = (
    Vector(
        "a title",
        ('<http://example.com/TheBook/chapter2>; rel="previous"; title="previous chapter"',),
        {"previous": "http://example.com/TheBook/chapter2", "next": None},
    ),
    Vector("an extension relation type", ('</>; rel="http://example.net/foo"',), {"http://example.net/foo": "/"}),
    Vector("an anchor that is a part of the page", ('</terms>; rel="copyright"; anchor="#foo"',), {"next": None}),
    Vector(
        "several links with language",
        (
            (
                "</TheBook/chapter2>; rel=\"previous\"; title*=UTF-8'de'letztes%20Kapitel, "
                "</TheBook/chapter4>; rel=\"next\"; title*=UTF-8'de'n%c3%a4chstes%20Kapitel"
            ),
        ),
        {"previous": "/TheBook/chapter2", "next": "/TheBook/chapter4"},
    ),
    Vector(
        "several relation types",
        ('<http://example.org/>; rel="start http://example.net/relation/other"',),
        {"start": "http://example.org/", "http://example.net/relation/other": "http://example.org/"},
    ),
    Vector(
        "two links in one line",
        ('<https://example.org/>; rel="start", <https://example.org/index>; rel="index"',),
        {"start": "https://example.org/", "index": "https://example.org/index"},
    ),
    Vector(
        "two links in two lines",
        ('<https://example.org/>; rel="start"', '<https://example.org/index>; rel="index"'),
        {"start": "https://example.org/", "index": "https://example.org/index"},
    ),
)

HTTPLINT = (
    Vector("Basic", ("<http://www.example.com/>; rel=example",), {"example": "http://www.example.com/"}),
    Vector(
        "Quoted",
        ('"http://www.example.com/"; rel=example',),
        {"example": None},
        "the target with its quotes, and BAD_SYNTAX: a link has angle brackets",
    ),
    Vector("QuotedRelation", ('<http://www.example.com/>; rel="example"',), {"example": "http://www.example.com/"}),
    Vector("BWS", ('</foo>; rel = "example"; type = "text/plain"; title= "x"',), {"example": "/foo"}),
    Vector("BWSToken", ("</foo>; rel = next",), {"next": "/foo"}),
    Vector("NoBWS", ('</foo>; rel="example"; type="text/plain"; title="x"',), {"example": "/foo"}),
    Vector("BWSRepeating", ('</foo>; rel = "example"; rel="another"',), {"example": "/foo", "another": None}),
    Vector("BWSHint", ("</foo>; rel = preload",), {"preload": "/foo"}),
    Vector("Relative", ('</foo>; rel="example"',), {"example": "/foo"}),
    Vector("RepeatingRelation", ('</foo>; rel="example"; rel="another"',), {"example": "/foo", "another": None}),
    Vector("Rev", ('</foo>; rev="bar"',), {"bar": None}),
    Vector("BadType", ('</foo>; rel="bar"; type="{blah}"',), {"bar": "/foo"}),
    Vector("Preload", ('</main.css>; rel="preload"; as="style"',), {"preload": "/main.css"}),
    Vector(
        "MultipleHints",
        ('</main.css>; rel="preload"; as="style"', '<https://cdn.example.com>; rel="preconnect"'),
        {"preload": "/main.css", "preconnect": "https://cdn.example.com"},
    ),
    Vector(
        "CombinedRelHint",
        ('<https://cdn.example.com>; rel="preconnect dns-prefetch"',),
        {"preconnect": "https://cdn.example.com", "dns-prefetch": "https://cdn.example.com"},
    ),
    Vector("BadHintTarget", ('<javascript:alert(1)>; rel="preload"',), {"preload": "javascript:alert(1)"}),
    Vector(
        "MixedHintTargets",
        ('<https://cdn.example.com>; rel="preconnect"', '<ftp://example.com/x>; rel="preload"'),
        {"preconnect": "https://cdn.example.com", "preload": "ftp://example.com/x"},
    ),
    Vector("RepeatedRejectedTitleStar", ("</foo>; rel=ex; title*=bogus; title*=UTF-8''%41",), {"ex": "/foo"}),
    Vector("MalformedIPv6Preload", ("<http://[::1>; rel=preload",), {"preload": "http://[::1"}),
    Vector("MalformedIPv6Preconnect", ("<http://[::1]x>; rel=preconnect",), {"preconnect": "http://[::1]x"}),
    Vector("BadSyntaxHint", ("</a b>; rel=preload",), {"preload": "/a b"}),
    Vector("SemicolonInTarget", ("<http://example.com/a;b>; rel=next",), {"next": "http://example.com/a;b"}),
    Vector(
        "SemicolonInHintTarget",
        ("<http://example.com/a;b=c>; rel=preload; as=script",),
        {"preload": "http://example.com/a;b=c"},
    ),
    Vector("GreaterThanInParam", ('</foo>; rel=next; title="a>b"',), {"next": "/foo"}),
    Vector(
        "UnbracketedTarget",
        ("foo; rel=preload",),
        {"preload": None},
        "the target foo, and BAD_SYNTAX: a link has angle brackets",
    ),
    Vector(
        "UnclosedBracket",
        ("<http://example.com/; rel=next",),
        {"next": None},
        "the target with its bracket, and BAD_SYNTAX: a link has angle brackets",
    ),
    Vector(
        "TrailingGarbageAfterTarget",
        ("</foo>x; rel=next",),
        {"next": None},
        "the target /foo, and BAD_SYNTAX: parameters begin with a semicolon (RFC 8288, B.3)",
    ),
    Vector("WellFormedHint", ('</a;b.css>; rel="preload"; as=style; type="text/css"',), {"preload": "/a;b.css"}),
    Vector("CommaInTarget", ("<http://example.com/a,b>; rel=next",), {"next": "http://example.com/a,b"}),
    Vector("CommaInTargetList", (_HTTPLINT_LIST,), {"next": "http://example.com/a,b", "prev": "/c,d,e", "up": "/f"}),
    Vector("CommaInHintTarget", ("</a,b.css>; rel=preload; as=style",), {"preload": "/a,b.css"}),
    Vector("CommaAfterTarget", ("</a>; rel=next, </b>; rel=prev",), {"next": "/a", "prev": "/b"}),
    Vector(
        "UnclosedBracketThenLink",
        ("<http://example.com/a; rel=next, </b>; rel=prev",),
        {"next": None, "prev": "/b"},
        "also the target with its bracket, and BAD_SYNTAX: a link has angle brackets",
    ),
    Vector("EmptyTarget", ("<>; rel=preload",), {"preload": ""}),
    Vector(
        "MalformedHint",
        ("<http://example.com/bad; rel=preload, </good.css>; rel=preload",),
        {"preload": "/good.css"},
    ),
    Vector("AllMalformed", ("<http://example.com/a; rel=preload, /b; rel=preconnect",), {"preload": None}),
)

PARSE_LINK_HEADER = (
    Vector(
        "next and last",
        (
            (
                f'<{_GITHUB}?client_id=1&client_secret=2&page=2&per_page=100>; rel="next", '
                f'<{_GITHUB}?client_id=1&client_secret=2&page=3&per_page=100>; rel="last"'
            ),
        ),
        {
            "next": f"{_GITHUB}?client_id=1&client_secret=2&page=2&per_page=100",
            "last": f"{_GITHUB}?client_id=1&client_secret=2&page=3&per_page=100",
        },
    ),
    Vector(
        "unquoted relationships",
        (
            (
                f"<{_GITHUB}?client_id=1&client_secret=2&page=2&per_page=100>; rel=next, "
                f"<{_GITHUB}?client_id=1&client_secret=2&page=3&per_page=100>; rel=last"
            ),
        ),
        {
            "next": f"{_GITHUB}?client_id=1&client_secret=2&page=2&per_page=100",
            "last": f"{_GITHUB}?client_id=1&client_secret=2&page=3&per_page=100",
        },
    ),
    Vector(
        "next, prev and last",
        (
            (
                f'<{_GITHUB}?page=3&per_page=100>; rel="next", <{_GITHUB}?page=1&per_page=100>; rel="prev", '
                f'<{_GITHUB}?page=5&per_page=100>; rel="last"'
            ),
        ),
        {
            "next": f"{_GITHUB}?page=3&per_page=100",
            "prev": f"{_GITHUB}?page=1&per_page=100",
            "last": f"{_GITHUB}?page=5&per_page=100",
        },
    ),
    Vector("an empty link header", ("",), {"next": None}),
    Vector(
        "next and a link without rel",
        (f'<{_GITHUB}?page=3&per_page=100>; rel="next", <{_GITHUB}?page=1&per_page=100>; pet="cat", ',),
        {"next": f"{_GITHUB}?page=3&per_page=100", "cat": None},
    ),
    Vector(
        "next and properties besides rel",
        (f'<{_GITHUB}?page=3&per_page=100>; rel="next"; hello="world"; pet="cat"',),
        {"next": f"{_GITHUB}?page=3&per_page=100"},
    ),
    Vector("a comma in the url", (f'<{_WORRY}>; rel="next";',), {"next": _WORRY}),
    Vector("a multi-word rel", (f'<{_WORRY}>; rel="next page";',), {"next": _WORRY, "page": _WORRY}),
    Vector("matrix parameters", (f'<{_MATRIX}>; rel="next";',), {"next": _MATRIX}),
    Vector("an extremely long link header", (f'; rel="{" " * 10000}",',), {"next": None}),
)

LINKHEADER_PARSER = (
    Vector("a simple link", ("<http://example.com>; rel=example",), {"example": "http://example.com"}),
    Vector("quoted relation", ('<http://example.com>; rel="example"',), {"example": "http://example.com"}),
    Vector(
        "multiple links",
        ('<http://example.com1>; rel="example1", <http://example.com2>; rel="example2"',),
        {"example1": "http://example.com1", "example2": "http://example.com2"},
    ),
    Vector(
        "the same relation type",
        ('<http://example.com1>; rel="example", <http://example.com2>; rel="example"',),
        {"example": "http://example.com1"},
        "both targets: a page has one next page, the first that is named",
    ),
    Vector(
        "multiple relation types",
        ('<http://example.com>; rel="example1 example2"',),
        {"example1": "http://example.com", "example2": "http://example.com"},
    ),
    Vector(
        "parameters",
        ('<http://example.com>; rel="example"; title="Example title"; hreflang=en',),
        {"example": "http://example.com"},
    ),
    Vector(
        "repeated parameters",
        ('<http://example.com>; rel="example"; title="Example title"; hreflang=en; hreflang="de"',),
        {"example": "http://example.com"},
    ),
)

REQUESTS = (
    Vector(
        "rel and type", ('<http:/.../front.jpeg>; rel=front; type="image/jpeg"',), {"front": "http:/.../front.jpeg"}
    ),
    Vector("no parameters", ("<http:/.../front.jpeg>",), {"front": None}),
    Vector("an empty parameter", ("<http:/.../front.jpeg>;",), {"front": None}),
    Vector(
        "two without rel",
        ('<http:/.../front.jpeg>; type="image/jpeg",<http://.../back.jpeg>;',),
        {"front": None, "back": None},
    ),
    Vector("empty", ("",), {"next": None}),
    Vector(
        "GitHub in 2013",
        (f'<{_KENNETH}?page=2&per_page=10>; rel="next", <{_KENNETH}?page=7&per_page=10>;  rel="last"',),
        {"next": f"{_KENNETH}?page=2&per_page=10", "last": f"{_KENNETH}?page=7&per_page=10"},
    ),
)

HTTPX = (
    Vector(
        "apostrophes",
        ("<https://example.com>; rel='preload'",),
        {"preload": "https://example.com"},
    ),
    Vector(
        "two links",
        ('</hub>; rel="hub", </resource>; rel="self"',),
        {"hub": "/hub", "self": "/resource"},
    ),
)

AIOHTTP = (
    Vector(
        "comma_separated",
        ("<http://example.com/page/1.html>; rel=next, <http://example.com/>; rel=home",),
        {"next": "http://example.com/page/1.html", "home": "http://example.com/"},
    ),
    Vector(
        "multiple_headers",
        ("<http://example.com/page/1.html>; rel=next", "<http://example.com/>; rel=home"),
        {"next": "http://example.com/page/1.html", "home": "http://example.com/"},
    ),
    Vector(
        "no_rel",
        ("<http://example.com/>",),
        {"http://example.com/": None},
        "a link whose relation is its own target: one without rel has no relation",
    ),
    Vector("quoted", ('<http://example.com/>; rel="home-page"',), {"home-page": "http://example.com/"}),
    Vector("relative", ("</relative/path>; rel=rel",), {"rel": "/relative/path"}),
    Vector("empty", (), {"next": None}),
)

LINK_HEADER = (
    Vector(
        "parse",
        ('<http://example.com/foo>; rel="foo bar", <http://example.com>; rel=up; type=text/html',),
        {"foo": "http://example.com/foo", "bar": "http://example.com/foo", "up": "http://example.com"},
    ),
    Vector(
        "to_py",
        ("<http://example.com/foo>; rel=self, <http://example.com>; rel=up",),
        {"self": "http://example.com/foo", "up": "http://example.com"},
    ),
    Vector("blank and missing values", ('</s/1>; obs; if="core.s"; foo=""',), {"core.s": None}),
    Vector("repeated", ("<http://example.com>; foo=bar; foo=baz; rel=self",), {"self": "http://example.com"}),
    Vector(
        "a quoted word as rel",
        ('<http://example.com/foo>; rel="\\"quoted\\""; type=text/html; title*=UTF-8\'en\'%e2%82%ac%20rates',),
        {'"quoted"': "http://example.com/foo"},
    ),
)

READMES = (
    Vector(
        "httplink",
        (
            (
                "\n   <https://example.com/foo/index.html>; rel=index;\n   foo*=UTF-8'en'b%c3%a5r, "
                '</path#frag>;rel="what ever"\n'
            ),
        ),
        {"index": "https://example.com/foo/index.html", "what": "/path#frag", "ever": "/path#frag"},
    ),
    Vector(
        "http-link-header",
        (
            (
                '<example.com>; rel="example"; title="Example Website", '
                '<example-01.com>; rel="alternate"; title="Alternate Example Domain"'
            ),
        ),
        {"example": "example.com", "alternate": "example-01.com"},
    ),
    Vector(
        "http-link-header, extended attributes",
        (
            (
                "</extended-attr-example>; rel=start; "
                "title*=UTF-8'en'%E2%91%A0%E2%93%AB%E2%85%93%E3%8F%A8%E2%99%B3%F0%9D%84%9E%CE%BB"
            ),
        ),
        {"start": "/extended-attr-example"},
    ),
    Vector(
        "links-from-link-header",
        (
            (
                '<https://api.github.com/user/repos?page=1>; rel="first", '
                '<https://api.github.com/user/repos?page=9>; rel="prev", '
                '<https://api.github.com/user/repos?page=11>; rel="next", '
                '<https://api.github.com/user/repos?page=50>; rel="last"'
            ),
        ),
        {
            "first": "https://api.github.com/user/repos?page=1",
            "prev": "https://api.github.com/user/repos?page=9",
            "next": "https://api.github.com/user/repos?page=11",
            "last": "https://api.github.com/user/repos?page=50",
        },
    ),
)

GO = (
    Vector("single", ('<https://example.com/?page=2>; rel="next"',), {"next": "https://example.com/?page=2"}),
    Vector(
        "multiple_headers",
        (
            '<https://example.com/?page=2>; rel="next",<https://example.com/?page=34>; rel="last"',
            '<https://example.com/?page=foo>; rel="foo",<https://example.com/?page=bar>; rel="bar"',
        ),
        {
            "next": "https://example.com/?page=2",
            "last": "https://example.com/?page=34",
            "foo": "https://example.com/?page=foo",
            "bar": "https://example.com/?page=bar",
        },
    ),
    Vector(
        "extra", ('<https://example.com/?page=2>; rel="next"; title="foo"',), {"next": "https://example.com/?page=2"}
    ),
    Vector("noLink", (), {"next": None}),
    Vector(
        "valuesWithComma",
        (_MEMENTO,),
        {
            "original": "//www.w3.org/wiki/LinkHeader",
            "latest-version": "//www.w3.org/wiki/LinkHeader",
            "timegate": "//www.w3.org/wiki/Special:TimeGate/LinkHeader",
            "timemap": "//www.w3.org/wiki/Special:TimeMap/LinkHeader",
            "first": "//www.w3.org/wiki/index.php?title=LinkHeader&oldid=10152",
            "last": "//www.w3.org/wiki/index.php?title=LinkHeader&oldid=84697",
        },
        "whole values of rel as one relation: they are lists (RFC 8288, 3.3)",
    ),
    Vector("fuzzCrashers", ("0",), {"next": None}),
    Vector(
        "http-link-go, folded",
        ('<http://example.com/TheBook/chapter2>; rel="previous";\n    title="previous chapter"',),
        {"previous": "http://example.com/TheBook/chapter2"},
    ),
    Vector(
        "http-link-go, two folded",
        (
            (
                "</TheBook/chapter2>;\n rel=\"previous\"; title*=UTF-8'de'letztes%20Kapitel,\n "
                "</TheBook/chapter4>;\n rel=\"next\"; title*=UTF-8'de'n%c3%a4chstes%20Kapitel"
            ),
        ),
        {"previous": "/TheBook/chapter2", "next": "/TheBook/chapter4"},
    ),
)

HASKELL = (
    Vector("empty attributes", ('<http://example.com>; title=""',), {"": None}),
    Vector("custom attributes", ('<http://example.com>; weirdThingy="something"',), {"something": None}),
    Vector("backslash escaped", ('<http://example.com>; title="some \\" thing \\""',), {"thing": None}),
    Vector("escaped", ('<http://example.com>; title="some %22 thing %22"',), {"thing": None}),
    Vector(
        "attributes named similarly to standard ones",
        ('<http://example.com>; rel=hello; relAtion="something"; rev=next',),
        {"hello": "http://example.com", "something": None, "next": None},
    ),
    Vector(
        "unquoted rel, rev", ("<http://example.com>; rel=next; rev=prev",), {"next": "http://example.com", "prev": None}
    ),
    Vector("title*", ("<http://example.com>; title*=UTF-8'de'n%c3%a4chstes%20Kapitel",), {"next": None}),
    Vector(
        "weird whitespace all over the place",
        ('\n\t   < http://example.com\t>;rel=\t"example";   \ttitle ="example dot com" \n ',),
        {"example": "http://example.com"},
    ),
)

PERL = (
    Vector(
        "01basic",
        (
            (
                '<http://example.net/absolute>; rel="http://example.net/rel/one http://example.net/rel/two"; '
                'title="absolute"'
            ),
            '<relative>; rel="three"; title="relative"',
            '<nextdoc>; rel="next"; title="relative"; type="TEXT/HTML"; hreflang=en',
            '<author>; rev="made"; title="author";',
            '<german-page>; rev="test"; title="nachstes Kapitel"; title*=UTF-8\'de\'n%c3%a4chstes%20Kapitel',
        ),
        {
            "http://example.net/rel/one": "http://example.net/absolute",
            "http://example.net/rel/two": "http://example.net/absolute",
            "three": "relative",
            "next": "nextdoc",
            "made": None,
            "test": None,
        },
    ),
    Vector(
        "01basic, the 'anchor' link parameter",
        (
            '<subject>; rel="prev"; title="subject"; anchor="nextdoc"',
            '<nextdoc>; rel="next"; title="relative"; type="TEXT/HTML"; hreflang=en',
        ),
        {"prev": None, "next": "nextdoc"},
    ),
)

WEBLINKING = (
    Vector(
        "several links",
        ('</1>; rel="next", </2>; rel="Last next", </3>; rel=prev',),
        {
            "next": "/1",
            "last": "/2",
            "prev": "/3",
            "first": None,
        },
    ),
    Vector(
        "relation types compare case-insensitively",
        ('</a>; rel="Next PREV https://Example.net/Rel"',),
        {"next": "/a", "prev": "/a", "https://example.net/rel": "/a"},
    ),
    Vector("only ASCII letters fold", ('</a>; rel="bookmark"',), {"bookmark": "/a", "bookmar\u212a": None}),
    Vector("names are lower-cased", ('<https://example.com/>; REL="next"',), {"next": "https://example.com/"}),
    Vector(
        "the first occurrence wins",
        ('<https://example.com/>; rel="next"; rel="prev"',),
        {"next": "https://example.com/", "prev": None},
    ),
    Vector(
        "a comma inside a title",
        ('<https://a.test/1>; title="one, two", <https://a.test/2>; rel="next"',),
        {"next": "https://a.test/2"},
    ),
    Vector("an escaped quote", ('<https://example.com/>; title="a \\"quoted\\" word"',), {"quoted": None}),
    Vector("blank", ("   ",), {"next": None}),
    Vector(
        "malformed segments are skipped",
        ('not-a-link; rel="next", <https://example.com/ok>; rel="next"',),
        {"next": "https://example.com/ok"},
    ),
    Vector("an unterminated uri", ("<https://example.com/no-close; rel=next",), {"next": None}),
    Vector("an unterminated quote", ('<https://example.com/>; title="unterminated',), {"unterminated": None}),
    Vector(
        "several lines",
        ('<https://a.test/1>; rel="next"', '<https://a.test/2>; rel="last"'),
        {"next": "https://a.test/1", "last": "https://a.test/2"},
    ),
    Vector(
        "a quote never continues into the next line",
        ('<https://a.test/1>; title="open', '<https://a.test/2>; rel="last"'),
        {"next": None, "last": None},
        "last: lines are one list, joined by commas (RFC 9110, 5.3), wherever their quotes end",
    ),
    Vector(
        "an unquoted value runs to the next semicolon",
        ("<https://a.test/>; rel=next prev ; type=text/html",),
        {"next": "https://a.test/", "prev": "https://a.test/"},
    ),
    Vector("a parameter without a value", ("<https://a.test/>; rel=next; crossorigin",), {"next": "https://a.test/"}),
    Vector("empty names are dropped", ("<https://a.test/>; ; =x; rel=next",), {"next": "https://a.test/"}),
    Vector(
        "whitespace around the equals sign",
        ('<https://a.test/> ; rel = "next" ; title =x',),
        {"next": "https://a.test/"},
    ),
    Vector(
        "junk after a value",
        ('<https://a.test/1>; rel="next" junk; x=1, <https://a.test/2>; rel="last"',),
        {"next": "https://a.test/1", "last": "https://a.test/2"},
    ),
    Vector("an unclosed quote in junk", ('junk"here, <https://a.test/2>; rel="last"',), {"last": "https://a.test/2"}),
    Vector("an unclosed bracket in junk", ('junk<here, <https://a.test/2>; rel="last"',), {"last": "https://a.test/2"}),
    Vector(
        "a quoted comma in junk", ('junk "a, b" more, <https://a.test/2>; rel="last"',), {"last": "https://a.test/2"}
    ),
    Vector("a comma inside the target", ("<https://a.test/a,b>; rel=next",), {"next": "https://a.test/a,b"}),
    Vector("an escape at the end of an unclosed quote", ('<https://a.test/>; title="abc\\',), {"next": None}),
    Vector("folded lines and tabs", ('<https://a.test/>;\r\n\trel="next";\ttitle="t"',), {"next": "https://a.test/"}),
)

RESOLVED = (
    Resolved("aiohttp", "http://def-cl-resp.org/", "/relative/path", "http://def-cl-resp.org/relative/path"),
    Resolved("LinkHeader", "http://www.example.com/book1/chapter1/", "../", "http://www.example.com/book1/"),
    Resolved(
        "LinkHeader, empty",
        "http://www.example.com/book1/chapter1/",
        "",
        None,
        "the page itself: a page that is its own next one would never end",
    ),
    Resolved(
        "HTTP-Link-Parser, absolute",
        "http://example.org/subject",
        "http://example.net/absolute",
        "http://example.net/absolute",
    ),
    Resolved("HTTP-Link-Parser, relative", "http://example.org/subject", "relative", "http://example.org/relative"),
    Resolved("HTTP-Link-Parser, nextdoc", "http://example.org/subject", "nextdoc", "http://example.org/nextdoc"),
)

_ITSELF = "http://example.com/b/c/d;p?q"
RFC_3986 = tuple(
    Resolved(link or "empty", _ITSELF, link, url, theirs)
    for link, url, theirs in (
        ("g", "http://example.com/b/c/g", ""),
        ("./g", "http://example.com/b/c/g", ""),
        ("g/", "http://example.com/b/c/g/", ""),
        ("/g", "http://example.com/g", ""),
        ("//g", "http://g", ""),
        ("?y", "http://example.com/b/c/d;p?y", ""),
        ("g?y", "http://example.com/b/c/g?y", ""),
        ("#s", "http://example.com/b/c/d;p?q#s", ""),
        ("g#s", "http://example.com/b/c/g#s", ""),
        ("g?y#s", "http://example.com/b/c/g?y#s", ""),
        (";x", "http://example.com/b/c/;x", ""),
        ("g;x", "http://example.com/b/c/g;x", ""),
        ("g;x?y#s", "http://example.com/b/c/g;x?y#s", ""),
        ("", None, "the page itself: a page that is its own next one would never end"),
        (".", "http://example.com/b/c/", ""),
        ("./", "http://example.com/b/c/", ""),
        ("..", "http://example.com/b/", ""),
        ("../", "http://example.com/b/", ""),
        ("../g", "http://example.com/b/g", ""),
        ("../..", "http://example.com/", ""),
        ("../../", "http://example.com/", ""),
        ("../../g", "http://example.com/g", ""),
        ("../../../g", "http://example.com/g", ""),
        ("../../../../g", "http://example.com/g", ""),
        ("/./g", "http://example.com/g", ""),
        ("/../g", "http://example.com/g", ""),
        ("g.", "http://example.com/b/c/g.", ""),
        (".g", "http://example.com/b/c/.g", ""),
        ("g..", "http://example.com/b/c/g..", ""),
        ("..g", "http://example.com/b/c/..g", ""),
        ("./../g", "http://example.com/b/g", ""),
        ("./g/.", "http://example.com/b/c/g/", ""),
        ("g/./h", "http://example.com/b/c/g/h", ""),
        ("g/../h", "http://example.com/b/c/h", ""),
        ("g;x=1/./y", "http://example.com/b/c/g;x=1/y", ""),
        ("g;x=1/../y", "http://example.com/b/c/y", ""),
        ("g?y/./x", "http://example.com/b/c/g?y/./x", ""),
        ("g?y/../x", "http://example.com/b/c/g?y/../x", ""),
        ("g#s/./x", "http://example.com/b/c/g#s/./x", ""),
        ("g#s/../x", "http://example.com/b/c/g#s/../x", ""),
    )
)

OURS = (
    Vector("no spaces", ("</a>;rel=next,</b>;rel=prev",), {"next": "/a", "prev": "/b"}),
    Vector("tabs", ("</a>\t;\trel\t=\tnext\t,\t</b>\t;\trel=prev",), {"next": "/a", "prev": "/b"}),
    Vector("empty list members", (", ,</a>; rel=prev,, ,</b>; rel=next, ,",), {"prev": "/a", "next": "/b"}),
    Vector("empty parameters", ("</a>;; ;rel=next;;",), {"next": "/a"}),
    Vector("names and types in capitals", ("</a>; REL=NEXT",), {"next": "/a"}),
    Vector("next is the second of two types", ('</a>; rel="prev next"',), {"next": "/a", "prev": "/a"}),
    Vector("next is a part of another type", ("</a>; rel=next-archive, </b>; rel=nextpage",), {"next": None}),
    Vector("a type is a URL that ends in next", ('</a>; rel="https://a.test/rels/next"',), {"next": None}),
    Vector("an escaped letter in a quoted type (RFC 9110, 5.6.4)", ('</a>; rel="ne\\xt"',), {"next": "/a"}),
    Vector("an empty rel comes first", ('</a>; rel=""; rel=next',), {"next": None}),
    Vector("rel* is not rel", ("</a>; rel*=UTF-8''next",), {"next": None}),
    Vector("a link within a title", ('</a>; title="</b>; rel=next"; rel=prev',), {"next": None, "prev": "/a"}),
    Vector(
        "an escaped quote before a link within a title",
        ('</a>; title="\\", </b>; rel=next"; rel=prev',),
        {"next": None, "prev": "/a"},
    ),
    Vector("a title that ends in an escaped backslash", ('</a>; title="\\\\", </b>; rel=next',), {"next": "/b"}),
    Vector("an anchor on another origin", ('</a>; rel=next; anchor="https://b.test/"',), {"next": None}),
    Vector("an anchor elsewhere, unquoted and before rel", ("</a>; anchor=/other; rel=next",), {"next": None}),
    Vector(
        "an anchored link does not hide the page's own",
        ('</a>; rel=next; anchor="/other", </b>; rel=next',),
        {"next": "/b"},
    ),
    Vector(
        "in the form of GitLab",
        (
            (
                '<https://gitlab.test/api/v4/projects?id_after=42&order_by=id&page=3&per_page=50>; rel="next", '
                '<https://gitlab.test/api/v4/projects?page=1&per_page=50>; rel="first"'
            ),
        ),
        {"next": "https://gitlab.test/api/v4/projects?id_after=42&order_by=id&page=3&per_page=50", "last": None},
    ),
    Vector(
        "in the form of Shopify",
        (
            (
                '<https://shop.test/admin/api/2024-01/products.json?limit=3&page_info=eyJ=>; rel="previous", '
                '<https://shop.test/admin/api/2024-01/products.json?limit=3&page_info=eyK=>; rel="next"'
            ),
        ),
        {"next": "https://shop.test/admin/api/2024-01/products.json?limit=3&page_info=eyK=", "prev": None},
    ),
    Vector(
        "in the form of WordPress",
        (
            '<https://blog.test/wp-json/>; rel="https://api.w.org/"',
            '<https://blog.test/wp-json/wp/v2/posts?page=2>; rel="next"',
        ),
        {"next": "https://blog.test/wp-json/wp/v2/posts?page=2", "https://api.w.org/": "https://blog.test/wp-json/"},
    ),
    Vector(
        "in the form of Canvas",
        (
            (
                '<https://canvas.test/api/courses?page=1>; rel="current",<https://canvas.test/api/courses?page=2>; '
                'rel="next",<https://canvas.test/api/courses?page=1>; rel="first"'
            ),
        ),
        {"current": "https://canvas.test/api/courses?page=1", "next": "https://canvas.test/api/courses?page=2"},
    ),
    Vector(
        "in the form of a FHIR server",
        ("<https://fhir.test/Patient?_getpages=1f,2&_getpagesoffset=20&_format=json>;rel=next",),
        {"next": "https://fhir.test/Patient?_getpages=1f,2&_getpagesoffset=20&_format=json"},
    ),
    Vector(
        "in the form of Okta",
        (
            '<https://okta.test/api/users?limit=2>; rel="self"',
            '<https://okta.test/api/users?after=1>; rel="next"',
        ),
        {"self": "https://okta.test/api/users?limit=2", "next": "https://okta.test/api/users?after=1"},
    ),
    Vector(
        "in the form of Confluence",
        ('</wiki/rest/api/content?next=true&limit=25&start=25>; rel="next"',),
        {"next": "/wiki/rest/api/content?next=true&limit=25&start=25"},
    ),
)
