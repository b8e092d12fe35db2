"""One box finds everything that has a number or a name; people only with a reason, and never whole."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from app.web.staff_search import compact, kind_of
from registry.audit import AuditEntry
from tests.web.desk_scene import Bureau
from tests.web.markup import check_page
from tests.web.scene import Scene

PATH = "/desk/search"


@pytest.mark.parametrize(
    ("typed", "kind"),
    [
        ("杭州·b 382617", "plate_no"),
        ("33010519670907013x", "owner_id_no"),
        ("138 0013 8001", "owner_phone"),
        ("陈建英", "owner_name"),
        ("GS-7K2M-94", None),
        ("119842021123456", None),
        ("2,560", None),
    ],
)
def test_what_was_typed_tells_what_it_is(typed: str, kind: str | None) -> None:
    assert kind_of(compact(typed, city="杭州")) == kind


def test_one_box_finds_it_all(scene: Scene) -> None:
    bureau = Bureau(scene)
    owner = bureau.claim()
    operator, session = bureau.operator, scene.session

    def look_for(wanted: object, reason: str = "") -> str:
        operator.open(PATH)
        check_page(operator.send(action=PATH, wanted=str(wanted), reason=reason))
        return operator.text

    told = look_for(f"杭州 {owner.plate_no}", "车主来电查询")
    for words in ("备案（1）", "淘汰置换（1）", "陈*英"):
        assert words in told, words
    assert owner.id_no not in told
    assert "淘汰置换（1）" in look_for(owner.phone, "车主来电查询")
    assert "淘汰置换（1）" in look_for("1"), "a claim by its position"
    assert scene.dealer.name in look_for(scene.dealer.name[-3:]), "a dealer by a part of its name, without a reason"
    assert "没有找到" in look_for("EC-0000")
    searched = session.scalars(select(AuditEntry).where(AuditEntry.action == "desk.searched")).all()
    assert min(entry.detail["found"] for entry in searched) == 0
    assert not any(owner.phone in str(entry.detail) or owner.plate_no in str(entry.detail) for entry in searched)


def test_people_are_not_looked_for_without_a_reason(scene: Scene) -> None:
    bureau = Bureau(scene)
    owner = bureau.claim()
    for wanted in (owner.plate_no, owner.id_no, owner.phone, owner.name):
        bureau.operator.open(PATH)
        page = bureau.operator.send(action=PATH, wanted=wanted, reason="")
        assert page.status_code == 422, wanted
        assert "请写明查找的原因" in bureau.operator.text
    assert scene.session.scalars(select(AuditEntry).where(AuditEntry.action == "filings.searched")).all() == []
