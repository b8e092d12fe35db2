"""An erasure waits for an open appeal, keeps an answered one for its time, and then empties it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.erasing import ClaimsAndMoney
from registry.audit import AuditEntry
from registry.erasure import Erasure, ErasureMustWait, ask_erasure
from registry.trade_ins import Reach, TradeIn
from subsidy.appeal_erasure import MAY_BE_BROUGHT_TO_COURT, forget_appeals_of_locked
from subsidy.appeals import Appeal, AppealPhoto, add_appeal_photo, reject_appeal
from tests.registry.line import picture
from tests.subsidy.claim_deeds import OPERATOR, appeal
from tests.subsidy.claim_scene import Scene


def unlicensed(session: Session, trade_in: TradeIn) -> None:
    trade_in.opening = trade_in.opening | {"point_licensed": False}


def erase(scene: Scene, person_id: int) -> Erasure:
    return scene.do(
        lambda session: ask_erasure(
            session=session,
            person_id=person_id,
            elsewhere=ClaimsAndMoney(),
            actor="account:8",
            now=scene.clock.now(),
        )
    )


def held(scene: Scene) -> tuple[str, str | None, int]:
    """What is held of the one appeal: text, answer, pictures."""
    with scene.sessions() as session:
        kept = session.scalars(select(Appeal)).one()
        return kept.body, kept.answer, len(session.scalars(select(AppealPhoto.id)).all())


def test_an_appeal_is_emptied_once_it_is_answered_and_its_time_is_over(scene: Scene) -> None:
    scene.open(places=2)
    (declined,) = scene.complete(prepare=unlicensed)
    filed = appeal(scene, declined.reference)
    scene.do(
        lambda session: add_appeal_photo(
            session=session,
            reference=filed.reference,
            reach=Reach(owner_id=filed.person_id),
            image=picture(),
            actor="account:8",
            now=scene.clock.now(),
        )
    )
    with pytest.raises(ErasureMustWait):
        erase(scene, filed.person_id)
    scene.do(
        lambda session: reject_appeal(
            session=session, reference=filed.reference, answer="登记时未授牌", actor=OPERATOR, now=scene.clock.now()
        )
    )
    erasure = erase(scene, filed.person_id)
    assert erasure.removed["texts_of_appeals"] == 0
    assert "appeals" in erasure.kept
    assert held(scene) == ("我是第一次领，请核对。", "登记时未授牌", 1)
    answered = scene.clock.now()
    early = answered + MAY_BE_BROUGHT_TO_COURT - timedelta(days=1)
    assert scene.do(lambda session: forget_appeals_of_locked(session=session, now=early)) == 0
    late = answered + MAY_BE_BROUGHT_TO_COURT
    assert scene.do(lambda session: forget_appeals_of_locked(session=session, now=late)) == 1
    assert scene.do(lambda session: forget_appeals_of_locked(session=session, now=late)) == 0, "once"
    assert held(scene) == ("", None, 0)
    with scene.sessions() as session:
        kept = session.scalars(select(Appeal)).one()
        assert (kept.reference, kept.state) == (filed.reference, "rejected")
        assert (kept.filed_at, kept.answered_at is not None) == (filed.filed_at, True)
        [deed] = session.scalars(select(AuditEntry).where(AuditEntry.action == "appeal.erased"))
        assert "第一次" not in str(deed.detail)
    assert scene.differences() == []


def test_who_asks_after_the_time_leaves_nothing_of_an_appeal(scene: Scene) -> None:
    scene.open(places=2)
    (declined,) = scene.complete(prepare=unlicensed)
    filed = appeal(scene, declined.reference)
    scene.do(
        lambda session: reject_appeal(
            session=session, reference=filed.reference, answer="登记时未授牌", actor=OPERATOR, now=scene.clock.now()
        )
    )
    scene.later(days=MAY_BE_BROUGHT_TO_COURT.days + 1)
    assert scene.do(lambda session: forget_appeals_of_locked(session=session, now=scene.clock.now())) == 0
    assert held(scene)[0], "who has not asked for erasure keeps what he wrote"
    erasure = erase(scene, filed.person_id)
    assert erasure.removed["texts_of_appeals"] == 1
    assert "appeals" not in erasure.kept
    assert held(scene) == ("", None, 0)
