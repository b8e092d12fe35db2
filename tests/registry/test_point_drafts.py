"""What a counter typed into a step: dropped with the step that was sent, and nothing else with it."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from registry.point_drafts import drop_draft, keep_draft, read_draft
from registry.trade_ins import EVERYBODYS
from tests.registry.line import NOW, District

LATER = NOW + timedelta(seconds=3)


def keep(session: Session, reference: str, typed: str, now: datetime) -> None:
    kept = keep_draft(
        session=session,
        reference=reference,
        reach=EVERYBODYS,
        step="receipt",
        typed={"frame_no": typed},
        actor="account:1",
        now=now,
    )
    assert kept
    session.commit()


def test_what_a_second_tablet_types_while_the_first_sends_stays(district: District, engine: Engine) -> None:
    trade_in = district.open(district.owner(), district.dealer())
    with Session(engine) as sending, Session(engine) as typing:
        keep(sending, trade_in.reference, "LX1", NOW)
        keep(typing, trade_in.reference, "LX2", LATER)
        for step in ("sale", "receipt"):
            drop_draft(session=sending, trade_in_id=trade_in.id, step=step, sent_at=NOW)
            sending.commit()
            left = read_draft(session=typing, trade_in_id=trade_in.id, step="receipt", now=LATER)
            assert left is not None
            assert left.typed == {"frame_no": "LX2"}
            typing.commit()
        drop_draft(session=sending, trade_in_id=trade_in.id, step="receipt", sent_at=LATER)
        sending.commit()
        assert read_draft(session=typing, trade_in_id=trade_in.id, step="receipt", now=LATER) is None
