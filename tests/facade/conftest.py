"""A client of the one fake API, by each of its doors."""

import pytest

from apikit_sql import Apikit, Session
from tests.facade.doors import DOORS, Door
from tests.fakes.api import BASE_URL


@pytest.fixture(params=DOORS)
def door(request: pytest.FixtureRequest) -> Door:
    chosen: Door = request.param
    return chosen


@pytest.fixture
def client(session: Session) -> Apikit:
    return Apikit(BASE_URL, session=session)
