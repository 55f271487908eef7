"""What is measured: runs beside each other, and what may be said of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.benchmarks.bodies import SIZES, Api

#: What the rounds of a run gave, as medians, by the run's name.
Medians = Mapping[str, Mapping[str, float]]


BASE = Api()


@dataclass(frozen=True)
class Run:
    """One way at one API. Cold, all of its process counts: the start, the imports, the end."""

    way: str
    work: str = "sums"  # count, sum and max; or a table of all columns; or LIMIT 10
    api: Api = BASE
    in_flight: int = 8
    cold: bool = False
    label: str = ""

    @property
    def name(self) -> str:
        """What it is called in the output."""
        return self.label or self.way

    @property
    def least(self) -> float:
        """The seconds that waiting alone takes: for the first page, then for as many at once as are in flight."""
        return self.api.milliseconds / 1000 * (1 + (self.api.pages - 1) / self.in_flight)


@dataclass(frozen=True)
class Verdict:
    """A goal: what of the medians is compared, and its bound; `at_least` where more is better.

    Where it is about work and not about waiting, its CPU is shown: others on the machine change it less.
    """

    text: str
    value: Callable[[Medians], float]
    bound: float
    unit: str = ""
    at_least: bool = False
    of_cpu: Callable[[Medians], float] | None = None

    def holds(self, value: float) -> bool:
        """Whether `value` keeps the bound."""
        return value >= self.bound if self.at_least else value <= self.bound


@dataclass(frozen=True)
class Case:
    """Runs that are compared, the first with all others."""

    says: str
    runs: tuple[Run, ...]
    verdicts: tuple[Verdict, ...] = ()


def _ratio(text: str, one: str, other: str, bound: float, *, at_least: bool = False) -> Verdict:
    """How many times as long as the `other` run the `one` takes."""

    def compared(what: str) -> Callable[[Medians], float]:
        return lambda medians: medians[one][what] / medians[other][what]

    return Verdict(text, compared("seconds"), bound, at_least=at_least, of_cpu=compared("cpu"))


_FAR = Api(milliseconds=50)
_PEERS = ("requests_pandas", "dlt", "airbyte_cdk", "singer_sdk", "ikiapikit", "httpfs")
_IN_FLIGHT = {
    (work, number): Run("apikit", work, _FAR, number, label=f"{work}, {number} in flight")
    for work in ("sums", "table")
    for number in (1, 8, 16)
}
_ROWS = {
    rows: Run("apikit", api=Api("narrow", pages=rows // SIZES["narrow"]), label=f"{rows:,} rows")
    for rows in (10**5, 10**6, 10**7)
}


def _varied(**apis: Api) -> tuple[Run, ...]:
    return tuple(Run("apikit", api=api, label=label) for label, api in apis.items())


def _over_least(goal: str, run: Run, bound: float) -> Verdict:
    """How near a run comes to the seconds that waiting alone takes."""
    text = f"{goal}, {run.name} at {run.api.milliseconds} ms: the seconds of latency x (1 + (pages - 1) / in flight)"
    return Verdict(text, lambda medians: medians[run.name]["seconds"] / run.least, bound)


def _rates(what: str) -> Callable[[Medians], float]:
    def spread(medians: Medians) -> float:
        rates = [rows / medians[run.name][what] for rows, run in _ROWS.items()]
        return max(rates) / min(rates)

    return spread


def _growth(medians: Medians) -> float:
    return medians[_ROWS[10**7].name]["peak"] - medians[_ROWS[10**5].name]["peak"]


def _beyond(ours: str, theirs: str) -> Callable[[Medians], float]:
    return lambda medians: (medians[ours]["seconds"] - medians[theirs]["seconds"]) * 1000


CASES = {
    "decode": Case(
        "100 pages decoded, without a server; the bodies of each are in memory",
        (
            *(Run(way, "few", label=f"{way}, 3 of 111") for way in ("decode", "lists")),
            *(Run(way, "all", label=f"{way}, all 111") for way in ("decode", "lists", "orjson", "simdjson")),
        ),
        (
            _ratio("1, orjson and lists / ours, 3 of 111", "lists, 3 of 111", "decode, 3 of 111", 2.5, at_least=True),
            _ratio("1, ours / the simdjson parse alone, 3 of 111", "decode, 3 of 111", "simdjson, all 111", 3),
            _ratio("1, ours / orjson and lists, all 111", "decode, all 111", "lists, all 111", 1),
        ),
    ),
    "fetch": Case(
        "the same bytes, nothing done with them: our client and httpx's own",
        tuple(Run(way, in_flight=n, label=f"{way}, {n} in flight") for way in ("fetch", "httpx") for n in (1, 8, 16)),
    ),
    "sums": Case(
        "count, sum and max of two columns",
        tuple(Run(way) for way in ("apikit", "fetch", "httpx", "loop", "threads")),
        (_ratio("2, ours / fetching the same bytes", "apikit", "fetch", 1.6),),
    ),
    "table": Case(
        "a table of all columns",
        tuple(Run(way, "table") for way in ("apikit", "loop", "threads", *_PEERS)),
        (
            _ratio("4, dlt / ours", "dlt", "apikit", 20, at_least=True),
            _ratio("4, ours / the loop by hand", "apikit", "loop", 1),
        ),
    ),
    "limit": Case(
        "LIMIT 10 in a warm process",
        (Run("apikit", "limit", _FAR, label="limit"), Run("apikit", "limit", _FAR, 1, label="limit, 1 in flight")),
        (
            Verdict(
                "5, above the latency of 50 ms", lambda medians: medians["limit"]["seconds"] * 1000 - 50, 25, " ms"
            ),
            Verdict("5, requests", lambda medians: medians["limit"]["requests"], 1),
        ),
    ),
    "latency": Case(
        "the base at other latencies",
        tuple(Run("apikit", api=Api(milliseconds=ms), label=f"{ms} ms") for ms in (0, 50, 200)),
    ),
    "in_flight": Case(
        "at 50 ms, with as many requests at once",
        tuple(_IN_FLIGHT.values()),
        (
            _over_least("3", _IN_FLIGHT["sums", 8], 1.25),
            _over_least("3", _IN_FLIGHT["table", 8], 1.4),
            _over_least("3", _IN_FLIGHT["sums", 16], 1.45),
            _over_least("3", _IN_FLIGHT["table", 16], 1.65),
        ),
    ),
    "pagination": Case(
        "how the next page is found: a link with last, a total, or the next alone",
        _varied(**{strategy: Api(strategy=strategy) for strategy in ("link", "page", "offset", "cursor")}),
    ),
    "records": Case(
        "111 columns, 3, and objects in lists", _varied(wide=Api(), narrow=Api("narrow"), nested=Api("nested"))
    ),
    "coding": Case("as sent", _varied(gzip=Api(), plain=Api(coding="plain"))),
    "rows": Case(
        "3 columns, 1,000 rows a page",
        tuple(_ROWS.values()),
        (
            Verdict("6, the best rows a second / the worst", _rates("seconds"), 1.15, of_cpu=_rates("cpu")),
            Verdict("6, the peak of 10,000,000 rows beyond that of 100,000", _growth, 50, " MB"),
        ),
    ),
    "cold": Case(
        "whole processes, without pandas: imports alone, then one page of 100 records and its sum",
        (
            *(Run(way, cold=True) for way in ("import duckdb", "import apikit_sql", "install")),
            *(Run(way, api=Api(pages=1), cold=True, label=f"{way}, first query") for way in ("apikit", "loop")),
        ),
        (
            Verdict("7, import apikit_sql beyond duckdb's", _beyond("import apikit_sql", "import duckdb"), 60, " ms"),
            _ratio("7, ours / the loop by hand", "apikit, first query", "loop, first query", 1.5),
        ),
    ),
}
