"""Every code block of README's Python part runs as it stands, in an empty folder."""

import re
from pathlib import Path

import pytest

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
PART = README.split("\n## Python\n", 1)[1].split("\n## ", 1)[0]
BLOCKS = re.findall(r"```python\n(.*?)```", PART, re.DOTALL)


@pytest.mark.filterwarnings("ignore:.*has more pages than the one that was read")
@pytest.mark.parametrize("block", BLOCKS, ids=[block.strip().splitlines()[-1][:40] for block in BLOCKS])
def test_a_block_runs(block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    exec(compile(block, "README.md", "exec"), {"__name__": "__main__"})  # noqa: S102 - our own


def test_there_are_blocks() -> None:
    assert len(BLOCKS) >= 6
