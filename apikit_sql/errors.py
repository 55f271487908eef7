"""Every error this package raises on purpose, and what each one means to the person who reads it.

* ApikitError
  - CallError               the arguments are wrong; nothing was changed
  - ConfigError             a manifest, a setting or a credential reference is wrong; nothing was sent
    . ConnectorNotFoundError  no connector has this name
  - RequestError            the API answered badly, or not at all
    . AuthError             it refused the credential (401)
    . RateLimitError        its limit is used up for longer than the caller will wait
    . GraphQLError          it answered a query with errors, also beside data and with status 200
  - OriginError             a request would have left the hosts this connector may reach
  - PaginationError         the next page cannot be told, or the pages do not end
    . RequestsSpentError    the scan has sent as many requests as it may
  - DecodeError             a body that is not JSON, or has no records where they should be
  - SchemaDriftError        a later value does not fit its column
  - OutputError             a file could not be written; what was there before is unchanged
  - WebhookSignatureError   a webhook delivery does not come from who it says
  - ScanInterrupted         the reader cancelled while the scan was waiting

* ApikitWarning             what is worth knowing and stops nothing

The first line of each message stands alone: DuckDB turns errors into text, and often only that line is seen.
"""

from typing import Any


class ApikitError(Exception):
    """Base class: one `except` catches everything this package raises on purpose.

    What `is_everywhere` would befall every other request to the API as well.
    """

    is_everywhere = False


class CallError(ApikitError):
    """The arguments of a call are wrong; nothing was changed."""


class ConfigError(ApikitError):
    """A manifest, a setting or a credential reference is wrong; nothing was sent."""


class ConnectorNotFoundError(ConfigError):
    """No connector has this name; the message offers near matches."""


class RequestError(ApikitError):
    """The API answered with an error, or did not answer, after the last attempt.

    `status` is the HTTP status, None where no answer came; `url` is the request's, redacted.
    """

    def __init__(self, message: str, *, status: int | None = None, url: str = "") -> None:
        """An error for the answer `status` of `url`."""
        super().__init__(message)
        self.status = status
        self.url = url


class AuthError(RequestError):
    """The API refused the credential (401), or its token endpoint did; then `code` is that of RFC 6749, section 5.2."""

    is_everywhere = True

    def __init__(self, message: str, *, status: int | None = None, url: str = "", code: str = "") -> None:
        """An error for a credential that was refused."""
        super().__init__(message, status=status, url=url)
        self.code = code


class RateLimitError(RequestError):
    """The API's limit is used up for longer than the caller will wait; `retry_after` is in seconds, None if untold."""

    is_everywhere = True

    def __init__(
        self, message: str, *, status: int | None = None, url: str = "", retry_after: float | None = None
    ) -> None:
        """An error that tells how long the API asks its callers to wait."""
        super().__init__(message, status=status, url=url)
        self.retry_after = retry_after


class GraphQLError(RequestError):
    """The API answered a query with `errors`: each as it was told (message, path, ...), without secrets."""

    def __init__(
        self, message: str, *, status: int | None = None, url: str = "", errors: tuple[dict[str, Any], ...] = ()
    ) -> None:
        """An error for an answer that has errors, whatever stands beside them."""
        super().__init__(message, status=status, url=url)
        self.errors = errors


class OriginError(ApikitError):
    """A request would have left the hosts this connector may reach; it was not sent."""


class PaginationError(ApikitError):
    """The next page cannot be told, or the pages do not end; the rows so far are not the whole table."""


class RequestsSpentError(PaginationError):
    """The scan has sent `max_requests` and is not at its end; the rows so far are not the whole table."""

    is_everywhere = True


class DecodeError(ApikitError):
    """A body that is not JSON, or that has no records where they should be."""


class SchemaDriftError(ApikitError):
    """A value does not fit the type its column was given."""


class OutputError(ApikitError):
    """A file could not be written; what was there before is unchanged. Or a buffer could not, and has a part."""


class WebhookSignatureError(ApikitError):
    """A webhook delivery does not come from who it says, or not now; `reason` tells what is wrong with it."""

    def __init__(self, message: str, *, reason: str = "") -> None:
        """An error for a delivery that is refused for `reason`."""
        super().__init__(message)
        self.reason = reason


class ScanInterrupted(ApikitError):  # noqa: N818 - named for what happened; nothing went wrong
    """The reader cancelled while the scan was waiting."""


class ApikitWarning(UserWarning):
    """What is worth knowing and stops nothing: a page not followed, a field not seen."""
