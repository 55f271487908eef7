"""Who asks: the API of a client, and the session that sends its requests."""

from __future__ import annotations

from apikit_sql.connector.manifest import ConnectorDefinition
from apikit_sql.engine.session import Session, default_session
from apikit_sql.plan.planner import Defaults


class Caller:
    """What both halves of Apikit ask by."""

    _connector: ConnectorDefinition
    _own_session: Session | None
    _usual: Defaults  # what holds where a call says nothing

    @property
    def _session(self) -> Session:
        """The session given, else that of this process, which a forked child has anew."""
        return self._own_session or default_session()
