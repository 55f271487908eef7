"""An API on loopback that is told secrets and tells them back in every place of its answers, encoded in every way."""

import base64
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote, unquote, unquote_plus, urlsplit

Headers = dict[str, str]
Answered = tuple[int, Headers, bytes]

JSON = {"Content-Type": "application/json"}
UNESCAPED = ("plain", "percent", "base64")
#: What the API answers below each connector's path, for each of the secrets that it tells: its number follows.
PLACES = (
    "body", "long", "text", "html", "headers", "link-away", "link-home", "link-bad", "link-user", "location-away",
    "location-home", "drift", "drift-long", "fields", "binary", "error", "next",
)  # fmt: skip


def encoded(secret: str) -> dict[str, str]:
    """A secret in each encoding, by its name."""
    return {
        "plain": secret,
        "percent": quote(secret, safe=""),
        "base64": base64.b64encode(secret.encode()).decode(),
        "json": json.dumps(secret)[1:-1],
    }


class EchoServer(ThreadingHTTPServer):
    """`secrets` are those that it tells back, by connector. `received` is all that was sent to it, decoded.

    As a proxy it answers for any host. Each connector is given one token, `access_token`; who asks again is refused.
    """

    daemon_threads = True

    def __init__(self, secrets: Mapping[str, Sequence[str]], access_token: str, rotated: str, userinfo: str) -> None:
        super().__init__(("127.0.0.1", 0), _Echo)
        self.secrets = secrets
        self.access_token = access_token
        self.rotated = rotated
        self.userinfo = userinfo
        self.received: list[str] = []
        self.given: set[str] = set()

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def answer(self, method: str, target: str, headers: Headers, body: bytes) -> Answered:
        parts = urlsplit(target)
        self.received.append(decoded(target, headers, body))
        connector, what, *more = parts.path.strip("/").split("/", 2)
        if what == "token":
            return self._token(connector)
        if what == "ok":
            return 200, JSON, b'[{"id": 1}, {"id": 2}]'
        if what == "denied":
            return 401, JSON, text_of({"message": self._told(connector)})
        if what == "missing":
            return 404, JSON, text_of({"message": f"{method} {target} is not here", "sent": str(headers)})
        return self._place(connector, what, self.secrets[connector][int(more[0])])

    def _told(self, connector: str, *encodings: str) -> str:
        """The connector's secrets in each of these encodings; a body of JSON makes its own of what is plain."""
        return " ".join(encoded(secret)[each] for secret in self.secrets[connector] for each in encodings or UNESCAPED)

    def _place(self, connector: str, place: str, secret: str) -> Answered:
        told, in_url = self._told(connector), quote(secret, safe="")
        all_told = self._told(connector, *encoded(""))
        rows, home, away = b'[{"id": 1}]', f"{self.origin}/{connector}/missing", "http://evil.test"
        both = f"{in_url}?q={in_url}&b={quote(encoded(secret)['base64'])}"
        user = self.origin.replace("//", f"//someone:{quote(self.userinfo)}@")
        in_headers = {f"X-{name}": text for name, text in encoded(secret).items() if text.isascii()}
        answers: dict[str, Answered] = {
            "body": (400, JSON, text_of({"message": told})),
            "long": (400, JSON, text_of({"message": "x" * 185 + secret})),  # where a message is cut
            "text": (422, {"Content-Type": "text/plain"}, all_told.encode()),
            "html": (200, {"Content-Type": "text/html"}, f"<html>{all_told}</html>".encode()),
            "headers": (403, {**JSON, **in_headers}, b"{}"),
            "link-away": (200, next_link(f"{away}/{both}"), rows),
            "link-home": (200, next_link(f"{home}/{both}"), rows),
            "link-bad": (200, next_link(f"http://[{'x' * 57}{in_url}"), rows),
            "link-user": (200, next_link(f"{user}/"), rows),
            "location-away": (302, {"Location": f"{away}/{both}"}, b""),
            "location-home": (302, {"Location": f"{home}/{both}"}, b""),
            "drift": (200, JSON, text_of([{"id": told}])),
            "drift-long": (200, JSON, text_of([{"id": "x" * 65 + secret}])),
            "fields": (200, JSON, text_of({secret: 1, "other": 2})),
            "binary": (200, {"Content-Type": "application/octet-stream"}, b"\xff" + all_told.encode()),
            "error": (200, JSON, text_of({"error": told})),
            "next": (200, JSON, text_of({"items": [{"id": 1}], "next": ["x" * 60 + secret]})),
        }
        return answers[place]

    def _token(self, connector: str) -> Answered:
        if connector in self.given:
            refusal = {"error": "invalid_grant", "error_description": self._told(connector)[:150]}
            return 400, JSON, text_of(refusal)
        self.given.add(connector)
        token = {"access_token": self.access_token, "token_type": "bearer", "expires_in": 1000}
        return 200, JSON, text_of({**token, "refresh_token": self.rotated})


def text_of(body: object) -> bytes:
    return json.dumps(body).encode()


def next_link(target: str) -> Headers:
    return {"Link": f'<{target}>; rel="next"'}


def decoded(target: str, headers: Headers, body: bytes) -> str:
    """All that a request carries, as people would read it."""
    scheme, _, pair = headers.get("authorization", "").partition(" ")
    texts = [target, unquote(target), unquote_plus(target), *headers.values(), unquote_plus(body.decode())]
    if scheme == "Basic":
        basic = base64.b64decode(pair).decode()
        texts += [basic, unquote_plus(basic)]
    return "\n".join(texts)


class _Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: EchoServer

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        status, given, content = self.server.answer(self.command, self.path, headers, body)
        self.send_response(status)
        for name, value in given.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 - http.server's names

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def serving(server: EchoServer) -> Iterator[EchoServer]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
