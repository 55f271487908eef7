"""Every feature, used by a process with secrets: run by `canaries.py` in a folder of its own.

Arguments: the server's origin, and the connectors that are used, all unless told.

`FEATURES` is the one list of them: what each covers are functions of `sql/catalog.py` and public names of the package,
and `test_canaries.py` compares it with both, so that a new one that is in none is seen.
"""

import asyncio
import contextlib
import copy
import gc
import hashlib
import hmac
import json
import logging
import os
import pickle
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import duckdb
import httpx
import keyring

import apikit_sql
from apikit_sql.engine.session import Session
from apikit_sql.sql.catalog import FUNCTIONS, literal
from tests.sql.every_output import Keyring, failing, tell

WEBHOOK = "CANARY_WEBHOOK"
#: How the API answers. What it tells as a value of good rows is data, which is nobody's to mask, and not asked for.
ENDS = ("ok", "body/0", "text/0", "denied", "link-away/0", "location-away/0", "html/0")
_TOLD_AS_ERROR = (*ENDS, "error/0")  # an object with `error` and no records, with status 200: as a body it is data
_COLUMNS = "columns := {id: 'BIGINT'}"


@dataclass
class Place:
    """What features work with: the server's origin, a connection to a file, and the session behind it."""

    origin: str
    con: Any
    session: Session
    connectors: list[str]
    step: int = 1  # of clients and of the shell's commands, every second or third will do

    def run(self, sql: str) -> None:
        failing(lambda: self.con.execute(sql).fetchall())

    def each(self, template: str, ends: tuple[str, ...] = ENDS) -> None:
        """A statement for each connector, and each way in which its API answers."""
        for name in self.connectors:
            base, before = (self.origin, "/adhoc/") if name == "adhoc" else (name, "/")
            for end in ends:
                sql = template.replace("{api}", literal(base)).replace("{path}", literal(before + end))
                self.run(sql.replace("{name}", name))


def _scans(at: Place) -> None:
    at.each(f"FROM apikit({{api}}, {{path}}, {_COLUMNS})", _TOLD_AS_ERROR)
    at.each(f"FROM apikit({{api}}, {{path}}, {_COLUMNS})", ("drift/0", "drift-long/0"))
    at.each("FROM apikit({api}, {path})", ("ok", "body/0"))
    at.each(f"FROM apikit({{api}}, {{path}}, {_COLUMNS}, cache := 300)", ("ok", "ok", "body/0"))
    at.each(f"CREATE OR REPLACE VIEW v AS FROM apikit({{api}}, {{path}}, {_COLUMNS})", ("ok",))
    at.each("FROM apikit_schema({api}, {path})", ("ok", "body/0"))
    at.each("FROM apikit_inspect({api}, {path})", _TOLD_AS_ERROR)


def _rows(at: Place) -> None:
    at.each("SELECT apikit_get({api}, {path})")
    at.each("SELECT apikit_fetch({api}, {path})", ("ok", "body/0", "link-away/0"))


def _graphql(at: Place) -> None:
    at.each("FROM apikit_graphql({api}, '{ a { id } }', path := {path})", ("ok", "body/0", "error/0", "denied"))


def _plans(at: Place) -> None:
    at.each(f"FROM apikit_explain($$ FROM apikit({{api}}, {{path}}, {_COLUMNS}) WHERE id = 1 $$)", ("ok",))
    at.each("FROM apikit_dry_run({api}, {path})", ("ok",))
    at.each("FROM apikit_dry_run({api}, {path}, method := 'POST', body := {a: 1})", ("ok",))


def _changes(at: Place) -> None:
    for method in ("post", "put", "patch", "delete"):
        at.each(f"CREATE OR REPLACE TABLE sent_{method}_{{name}} AS SELECT apikit_{method}({{api}}, {{path}}) AS r")
        at.each(f"SELECT (r).error, (r).status FROM sent_{method}_{{name}}", ("ok",))


def _attached(at: Place) -> None:
    at.each("CALL apikit_attach({api})", ("ok",))
    at.each("FROM {name}.things", ("ok",))
    at.each("FROM {name}.wrong WHERE id = 1", ("ok",))
    at.each("SELECT {name}.keyed_of('ok')", ("ok",))
    at.run("FROM duckdb_views() WHERE NOT internal")
    at.run("SELECT macro_definition FROM duckdb_functions() WHERE macro_definition LIKE '%apikit%'")
    at.each("CALL apikit_detach({api})", ("ok",))


def _told(at: Place) -> None:
    names = ("requests", "scans", "errors", "rate_limits", "last_error", "connectors", "webhooks", "help")
    for name in names:
        at.run(f"FROM apikit_{name}()")
    at.each("FROM apikit_streams({api})", ("ok",))
    for each in (*at.session.errors, *at.session.requests, *at.session.scans, *at.session.failures):
        failing(lambda each=each: (repr(each), str(each), vars(each)))  # type: ignore[misc]


def _exported(at: Place) -> None:
    at.each("CALL apikit_dbt_export({api}, {path}, name := 'seed_{name}', output_dir := 'dbt')", ("ok", "body/0"))
    at.run(f"CALL apikit_dbt_export_query($$ FROM apikit('bearer', '/body/0', {_COLUMNS}) $$, name := 'q')")
    at.run("EXPORT DATABASE 'exported'")
    at.run("CHECKPOINT")


def _deliveries(at: Place) -> None:
    """Webhooks in SQL and in Python: good, wrong and without a signature, their credentials among other headers."""
    secret, body = os.environ[WEBHOOK], b'{"id": 1}'
    start = f"CALL apikit_webhook_start('hook', 'hmac', 'env:{WEBHOOK}', port := 0, id_header := 'X-Id')"
    ((_, address, _),) = at.con.execute(start).fetchall()
    _deliver(address, secret, body)
    at.run(f"CALL apikit_webhook_start('hook', 'hmac', ['env:{WEBHOOK}', 'env:HOME'], port := 0)")
    at.run(f"CALL apikit_webhook_start('other', 'stripe', '{secret}')".replace(secret, "not a reference"))
    for each in ("FROM hook_events", "FROM apikit_webhooks()", "CALL apikit_webhook_stop('hook')"):
        at.run(each)
    validators = (
        apikit_sql.GenericHmacValidator(secret, "X-Signature"),
        apikit_sql.GitHubWebhookValidator(secret),
        apikit_sql.StripeWebhookValidator(secret),
        apikit_sql.StandardWebhookValidator(f"whsec_{secret}"),
    )
    for validator in validators:
        tell((repr(validator), str(validator)))
        failing(lambda validator=validator: validator.validate(body, {"x-signature": "wrong"}))  # type: ignore[misc]
    receiver = apikit_sql.WebhookReceiver(port=0, path="/hook", validator=validators[0], output_file="events.ndjson")
    with receiver:
        _deliver(receiver.address, secret, body)
        tell((repr(receiver), receiver.events, receiver.event_count))
    failing(lambda: apikit_sql.StandardWebhookValidator(secret))


def _deliver(address: str, secret: str, body: bytes) -> None:
    signed = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    sent = {"Authorization": f"Bearer {os.environ['CANARY_BEARER']}", "Cookie": f"s={os.environ['CANARY_COOKIE']}"}
    for signature in (signed, "wrong", ""):
        headers = {"X-Signature": signature, "X-Id": signature[:3], "X-Api-Key": os.environ["CANARY_HEADER"], **sent}
        tell(httpx.post(address, content=body, headers=headers, trust_env=False).text)


def _clients(at: Place) -> Iterator[apikit_sql.Apikit]:
    """Clients with secrets of each kind, themselves or by reference."""
    bearer, basic = os.environ["CANARY_BEARER"], os.environ["CANARY_BASIC"]
    yield apikit_sql.Apikit(f"{at.origin}/bearer", token=bearer, session=at.session, max_attempts=1)
    yield apikit_sql.Apikit(f"{at.origin}/basic", username="anna", password=basic, session=at.session, max_attempts=1)
    auth = apikit_sql.AuthConfig(type="apikey", api_key=os.environ["CANARY_QUERY"], api_key_query_param="appid")
    yield apikit_sql.Apikit(f"{at.origin}/query", auth, session=at.session, max_attempts=1)
    config = apikit_sql.ApiConfig(base_url=f"{at.origin}/header", auth=_auth())
    tell((config, repr(config), config.model_dump(), config.model_dump_json()))
    yield apikit_sql.Apikit.from_config(config, session=at.session)
    yield apikit_sql.Apikit.from_name("keyring", session=at.session)
    yield apikit_sql.Apikit.from_name("bearer", token=os.environ["CANARY_INSTALL"], session=at.session)


def _auth() -> apikit_sql.AuthConfig:
    return apikit_sql.AuthConfig(type="apikey", api_key=os.environ["CANARY_HEADER"])


def _python(at: Place) -> None:
    """What a client puts out: records, frames, files, dry runs, what it is itself; and each error of it, pickled."""
    for number, client in enumerate(islice(_clients(at), 0, None, at.step)):
        tell((repr(client), str(client), sorted(vars(client), key=str)))
        for end in _TOLD_AS_ERROR:
            _asked(client, f"/{end}", number)
        for work in (client.post, client.put, client.patch, client.delete):
            failing(partial(work, "/body/0"))
        failing(lambda client=client: client.graphql("/error/0", "{ a { id } }"))  # type: ignore[misc]
        failing(lambda client=client: repr(client.table("/ok")))  # type: ignore[misc]
        exporter = apikit_sql.DbtExporter("python_dbt")
        failing(lambda: exporter.export_from_client(client, "/ok", "c"))  # noqa: B023 - called at once


def _asked(client: apikit_sql.Apikit, path: str, number: int) -> None:
    found = client.inspect(path) if not path.startswith("/location") else None
    tell((found, found and (found.suggested_config(), found.schema_sample(), vars(found))))
    for work in (client.fetch_records, client.fetch_arrow, client.fetch_polars, client.fetch_pandas):
        failing(partial(work, path))
    failing(lambda: asyncio.run(client.afetch_records(path)))
    failing(lambda: list(client.stream(path)))
    failing(lambda: client.fetch_to_file(path, format="csv", file_path=f"file_{number}.csv"))
    tell((shown := client.fetch_records(path, dry_run=True), repr(shown), shown.to_dict()))
    try:
        client.fetch_records(path)
    except apikit_sql.ApikitError as error:
        Path(f"error_{number}_{len(list(Path().iterdir()))}.pickle").write_bytes(pickle.dumps(error))
        tell((repr(pickle.loads(pickle.dumps(error))), copy.copy(error)))  # noqa: S301 - our own


def _references(_: Place) -> None:
    """What holds references is pickled with them, not with what they stand for."""
    auth = apikit_sql.AuthConfig(type="bearer", token="env:CANARY_BEARER")
    config = apikit_sql.ApiConfig(base_url="https://api.test", auth=auth)
    client = apikit_sql.Apikit.from_name("bearer")
    Path("config.pickle").write_bytes(pickle.dumps((auth, config, copy.deepcopy(config), client)))
    tell((repr(auth), str(auth), auth.model_dump(), auth.model_dump_json(), vars(auth), auth == copy.deepcopy(auth)))
    failing(lambda: apikit_sql.RetryConfig(max_attempts=os.environ["CANARY_BEARER"]))
    failing(lambda: apikit_sql.PaginationConfig(strategy="page", page_param=[os.environ["CANARY_BEARER"]]))
    failing(lambda: apikit_sql.RateLimitConfig(requests_per_second=-1))


def _configured(at: Place) -> None:
    """The config file, manifests, drafts, the registry."""
    config = apikit_sql.ConfigManager()
    config.add_connector("kept", at.origin, "bearer", token=os.environ["CANARY_INSTALL"])
    tell((config.list_connectors(), repr(config), vars(config)))
    failing(lambda: config.add_connector("wrong", "no url", "bearer", token=os.environ["CANARY_INSTALL"]))
    failing(lambda: config.add_connector("wrong", at.origin, "basic", token=os.environ["CANARY_INSTALL"]))
    config.remove_connector("kept")
    for file in sorted(Path("connectors").iterdir()):
        tell([*map(str, apikit_sql.lint(file))])
        tell([*map(str, apikit_sql.try_out(file.stem, session=at.session))] if file.stem != "outside" else "")
    tell(apikit_sql.ConnectorRegistry.list())
    definition = apikit_sql.ConnectorDefinition(name="d", base_url=at.origin, auth=_auth())
    tell((repr(definition), definition.model_dump_json()))
    document = {"openapi": "3.0.0", "paths": {}, "servers": [{"url": at.origin}]}
    Path("openapi.json").write_text(json.dumps(document))
    failing(lambda: apikit_sql.draft_manifest(apikit_sql.read_document("openapi.json"), "d"))


def _shell(at: Place) -> None:
    """The shell and its subcommands, each in a process of its own; what they were started with is told, too."""
    script = "FROM apikit('bearer', '/body/0'); .connectors\n.requests\n.inspect bearer:/ok\n"
    Path("script.sql").write_text(script)
    query = f"FROM apikit('query', '/error/0', {_COLUMNS})"
    commands = [
        ["-c", query], ["connectors", "list"], ["-f", "script.sql"], ["--debug", "-c", query],
        ["inspect", "bearer:/ok"],
        ["connectors", "show", "bearer"], ["dbt-export", "bearer", "/body/0", "--name", "s"],
        ["connectors", "test", "bearer"],
    ]  # fmt: skip
    for arguments in commands[:: at.step]:
        command = [sys.executable, "-m", "apikit_sql.cli", *arguments]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ) as shell:
            started_with = Path(f"/proc/{shell.pid}/cmdline")
            while (
                not started_with.read_bytes() and shell.poll() is None
            ):  # the new program is there a moment before its arguments
                time.sleep(0.001)
            tell(started_with.read_bytes())
            tell(shell.communicate(script.encode(), timeout=60)[0].decode())


def _own(at: Place) -> None:
    """connect(): tables by name, errors of our classes, a log of DuckDB's own."""
    with contextlib.closing(apikit_sql.connect(session=at.session)) as con:
        failing(lambda: con.execute("CALL enable_logging()").fetchall())
        for sql in ("FROM 'bearer:/body/0'", "FROM 'query:/error/0'", f"FROM '{at.origin}/adhoc/denied?q=x'"):
            failing(lambda sql=sql: con.execute(sql).fetchall())  # type: ignore[misc]
            failing(lambda sql=sql: con.sql(sql).df())  # type: ignore[misc]
        failing(lambda: con.execute("FROM duckdb_logs").fetchall())
        tell(repr(con))


#: Each feature: what uses it, and the names it covers, of functions and of the package; `error` stands for its classes.
FEATURES: dict[str, tuple[Callable[[Place], None], str]] = {
    "scans": (_scans, "apikit apikit_schema apikit_inspect install"),
    "functions of a row": (_rows, "apikit_get apikit_fetch"),
    "graphql": (_graphql, "apikit_graphql"),
    "plans": (_plans, "apikit_explain apikit_dry_run"),
    "changes": (_changes, "apikit_post apikit_put apikit_patch apikit_delete"),
    "catalogs": (_attached, "apikit_attach apikit_detach"),
    "webhooks": (
        _deliveries,
        """apikit_webhook_start apikit_webhook_stop WebhookReceiver GenericHmacValidator GitHubWebhookValidator
        StripeWebhookValidator StandardWebhookValidator""",
    ),
    "exports": (_exported, "apikit_dbt_export apikit_dbt_export_query"),
    "python": (_python, "Apikit DryRunResult InspectorResult DbtExporter DbtExport DbtFile FetchOptions error"),
    "models": (_references, "AuthConfig ApiConfig RetryConfig PaginationConfig RateLimitConfig"),
    "manifests": (
        _configured,
        """ConfigManager ConnectorRegistry ConnectorDefinition lint LintFinding try_out Trial draft_manifest
        read_document""",
    ),
    "shell": (_shell, ""),
    "connect()": (_own, "connect Connection"),
    "what happened": (
        _told,
        """apikit_requests apikit_scans apikit_errors apikit_rate_limits apikit_last_error apikit_connectors
        apikit_streams apikit_webhooks apikit_help Session""",
    ),
}
#: Public names that are given records, and ask nobody.
ASKING_NOBODY = frozenset({"flatten_dict", "flatten_records", "get_writer", "infer_polars_schema", "records_to_polars"})


def uncovered() -> set[str]:
    """Functions and public names that no feature covers."""
    covered = {name for _, names in FEATURES.values() for name in names.split()} | ASKING_NOBODY
    errors = {name for name in apikit_sql.__all__ if _is_error(name)} if "error" in covered else set()
    return ({function.name for function in FUNCTIONS} | {*apikit_sql.__all__}) - covered - errors


def _is_error(name: str) -> bool:
    public = getattr(apikit_sql, name)
    return isinstance(public, type) and issubclass(public, Exception)


def main(origin: str, *wanted: str) -> None:
    """Every feature with every connector, or with those that are `wanted`."""
    warnings.simplefilter("always")
    keyring.set_keyring(Keyring())
    names = list(wanted) or [*sorted(file.stem for file in Path("connectors").iterdir()), "adhoc"]
    session = Session()
    con = duckdb.connect("kept.duckdb")
    con.execute("PRAGMA enable_profiling = 'json'; PRAGMA profiling_output = 'profile.json'")
    changing = [origin if name == "adhoc" else name for name in names]
    apikit_sql.install(con, session=session, tokens={origin: os.environ["CANARY_INSTALL"]}, allow_mutations=changing)
    at = Place(origin, con, session, names, 3 if wanted else 1)
    for name, (feature, _) in FEATURES.items():
        tell(f"== {name}")
        try:
            feature(at)
        except Exception:
            tell(f"!! {name}")
            raise
    con.close()
    gc.collect()


if __name__ == "__main__":
    logging.basicConfig(level=logging.DEBUG, filename=Path("debug.log"), format="%(name)s %(message)s")
    # httpcore's own log of what servers answer, header by header, is not ours
    logging.getLogger("httpcore").setLevel(logging.INFO)
    main(*sys.argv[1:])
