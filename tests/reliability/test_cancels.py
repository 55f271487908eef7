"""The short form of `cancels`: every wait once, and again where it took too long: the machine may be busy."""

from collections.abc import Callable

import pytest

from tests.engine.test_network import ON_LINUX
from tests.reliability.cancels import BUSY, LIMIT, WAITS, ctrl_c, interrupted, scanned

pytestmark = [pytest.mark.no_cover, ON_LINUX]


@pytest.mark.parametrize("how", [interrupted, ctrl_c])
@pytest.mark.parametrize("wait", WAITS)
def test_a_cancelled_statement_ends_within_250_ms(wait: str, how: Callable[[str, float], float]) -> None:
    took = []
    for _ in range(BUSY):
        with scanned(wait) as sql:
            took.append(how(sql, 0.1))
        if took[-1] < LIMIT:
            return

    assert min(took) < LIMIT
