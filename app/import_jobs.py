"""The scheduler's part in the imports of lists: those that wait are run one after the other."""

from __future__ import annotations

from secrets import token_urlsafe
from typing import TYPE_CHECKING

from app.auth import hash_password
from app.district.programme import LOCAL
from registry.import_kinds import DealerTerms
from registry.import_running import run_next_import
from registry.import_turns import any_due

if TYPE_CHECKING:
    from app.jobs import Equipment


def import_lists(equipment: Equipment) -> str | None:
    """Run the imports that wait, one after the other; one that broke off is begun again."""
    done: list[str] = []
    while equipment.leads() and _import_waits(equipment):
        pooled = equipment.engine.raw_connection()
        connection = pooled.driver_connection
        assert connection is not None
        # Not given back to the pool: its temporary tables hold rows of the list.
        pooled.detach()
        try:
            outcome = run_next_import(
                connection=connection,
                sessions=equipment.sessions,
                keyring=equipment.keyring,
                today=equipment.clock.now().astimezone(LOCAL).date(),
                go_on=equipment.leads,
                dealers=DealerTerms(
                    rules=equipment.enrolment, now=equipment.clock.now(), password_hash=hash_password(token_urlsafe())
                ),
            )
        finally:
            connection.close()
        if outcome is None:  # another process was quicker
            break
        done.append(outcome)
    return ", ".join(done) or None


def _import_waits(equipment: Equipment) -> bool:
    with equipment.sessions() as session:
        return any_due(session=session)
