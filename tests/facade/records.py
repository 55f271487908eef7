"""Records with what columns must hold exactly, and the formats of files."""

from typing import Any

RECORDS: list[dict[str, Any]] = [
    {"id": n, "big": 2**70 + n, "user": {"login": f"u{n}"}, "tags": ["x"] * (n % 3), "score": None if n < 15 else n / 4}
    for n in range(25)
]
FORMATS = ["parquet", "ndjson", "jsonl", "json", "csv", "arrow", "duckdb"]
