"""The first request of a plan, shown instead of sent."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from apikit_sql.engine.dry_run import shown_request
from apikit_sql.output.target import Target, path_of
from apikit_sql.plan.request_plan import RequestPlan


@dataclass(frozen=True)
class DryRunResult:
    """The first request that a call would send, its secrets masked; a parameter that occurs several times is a list.

    `output_path` is where a file would be, None for a buffer.
    """

    method: str
    url: str
    params: Mapping[str, str | list[str]]
    body: str | None
    auth_type: str
    pagination_strategy: str
    page_size: int | None
    output_format: str | None = None
    output_path: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The fields by name."""
        return asdict(self)

    def __str__(self) -> str:
        """The fields as JSON."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False)


def shown(plan: RequestPlan, *, output_format: str | None = None, target: Target | None = None) -> DryRunResult:
    """What `plan` would send first, which goes to stderr, too; nothing is sent."""
    request = shown_request(plan)
    params: dict[str, str | list[str]] = {}
    for name, value in parse_qsl(urlsplit(request.url).query, keep_blank_values=True):
        before = params.get(name)
        params[name] = value if before is None else [*([before] if isinstance(before, str) else before), value]
    path = None if target is None else path_of(target)
    result = DryRunResult(
        method=request.method,
        url=request.url,
        params=params,
        body=request.body,
        auth_type=plan.auth.type,
        pagination_strategy=plan.pagination.strategy,
        page_size=plan.pagination.page_size,
        output_format=output_format,
        output_path=None if path is None else os.fspath(path),
    )
    sys.stderr.write(f"{result}\n")
    return result
