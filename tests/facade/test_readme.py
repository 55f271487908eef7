"""Every Python block of README runs as it stands, in a folder that holds no more than the files it names."""

import json
import re
from pathlib import Path

import pytest

from apikit_sql import ConnectorRegistry

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
MANIFEST = 'name = "acme"\nbase_url = "https://api.acme.example/v2"\n'
ITEMS = {"type": "array", "items": {"type": "object", "properties": {"id": {"type": "integer"}}}}
OPENAPI = {
    "openapi": "3.0.3",
    "info": {"title": "Acme", "version": "1"},
    "servers": [{"url": "https://api.acme.example/v2"}],
    "paths": {"/items": {"get": {"responses": {"200": {"content": {"application/json": {"schema": ITEMS}}}}}}},
}


@pytest.mark.filterwarnings("ignore:.*has more pages than the one that was read")
@pytest.mark.parametrize("block", BLOCKS, ids=[block.strip().splitlines()[-1][:40] for block in BLOCKS])
def test_a_block_runs(block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("APIKIT_CONFIG_PATH", str(tmp_path / "config.toml"))
    monkeypatch.setattr(ConnectorRegistry, "_registered", {})
    (tmp_path / "acme.toml").write_text(MANIFEST, encoding="utf-8")
    (tmp_path / "openapi.json").write_text(json.dumps(OPENAPI), encoding="utf-8")

    exec(compile(block, "README.md", "exec"), {"__name__": "__main__"})  # noqa: S102 - our own


def test_there_are_blocks() -> None:
    assert len(BLOCKS) >= 10
