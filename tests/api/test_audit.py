"""The audit is read by those who may, narrowed by who, what, which and when, page by page, and tells old from new."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from registry.audit import AuditEntry
from registry.people import Person, know_person, open_phone
from tests.api.conftest import Api, Place, faults, walk
from tests.registry.line import Owner

DAYS = [datetime(2026, 5, day, 15, 30, tzinfo=UTC) for day in (1, 2, 3)]


def deeds(place: Place) -> None:
    """Three days of two people's deeds; 15:30 UTC is half past eleven at night in Shanghai."""
    session = place.district.session
    for at in DAYS:
        for actor in ("account:901", "account:902"):
            for action, subject in (("looked", "plate:D1"), ("changed", "plate:D2")):
                session.add(AuditEntry(at=at, actor=actor, action=action, subject=subject, detail={}))
    session.commit()


def test_filters_narrow_each_other(place: Place) -> None:
    deeds(place)
    auditor = place.as_role("auditor")

    def found(**query: str) -> list[tuple[str, str, str, str]]:
        answer = auditor.get("/api/audit", **query)
        assert answer.status_code == 200, answer.text
        return [(row["at"][:10], row["actor"], row["action"], row["subject"]) for row in answer.json["entries"]]

    mine = "account:901"
    assert len(found(actor=mine)) == 6
    assert len(found(actor=mine, action="looked")) == 3
    assert found(actor=mine, action="looked", subject="plate:D2") == []
    assert found(actor=mine, action="looked", day="2026-05-02") == [("2026-05-02", mine, "looked", "plate:D1")]
    span = {"from": "2026-05-02", "until": "2026-05-03"}
    assert [day for day, *_ in found(actor=mine, action="looked", **span)] == ["2026-05-03", "2026-05-02"]
    assert [day for day, *_ in found(actor=mine, action="looked", until="2026-05-01")] == ["2026-05-01"]
    assert found(actor=mine, **{"from": "2026-05-04"}) == []
    assert faults(auditor.get("/api/audit", **{"from": "May", "since": "x"})) == {
        "from": "not_a_day",
        "since": "unknown_field",
    }


def test_pages_meet_without_gap_or_double(place: Place) -> None:
    deeds(place)
    auditor = place.as_role("auditor")
    seen: list[int] = []
    query: dict[str, str] = {"actor": "account:902", "limit": "4"}
    while True:
        page = auditor.get("/api/audit", **query).json
        seen += [row["id"] for row in page["entries"]]
        if page["next_before"] is None:
            break
        query["before"] = str(page["next_before"])
    assert len(seen) == len(set(seen)) == 6
    assert seen == sorted(seen, reverse=True)


def test_an_actors_and_a_days_deeds_are_found_by_index(place: Place) -> None:
    session = place.district.session
    session.execute(
        text(
            "INSERT INTO audit_entry (at, actor, action, subject) SELECT"
            " timestamptz '2026-01-01' + n * interval '1 minute', 'account:' || n % 500, 'x', 'y'"
            " FROM generate_series(1, 60000) n"
        )
    )
    session.commit()
    # A table of a test is too small to be worth an index: this asks whether one fits.
    session.execute(text("SET LOCAL enable_seqscan = off"))
    day = {"since": datetime(2026, 1, 9, tzinfo=UTC), "until": datetime(2026, 1, 9, tzinfo=UTC) + timedelta(hours=8)}
    queries = {
        "ix_audit_entry_actor_id": "SELECT id FROM audit_entry WHERE actor = 'account:7' ORDER BY id DESC LIMIT 50",
        "ix_audit_entry_at": "SELECT count(*) FROM audit_entry WHERE at >= :since AND at < :until",
    }
    for index, query in queries.items():
        plan = "\n".join(session.scalars(text(f"EXPLAIN {query}"), day if ":since" in query else {}))
        assert index in plan, plan
    session.rollback()


def test_each_step_tells_the_state_before_and_after(place: Place, point: Api, owner: Owner, programme: None) -> None:
    reference = walk(point, place, owner, until="applied")
    told = place.as_role("auditor").get("/api/audit", subject=f"trade_in:{reference}").json["entries"]
    states = {row["action"]: row["detail"].get("state") for row in told}
    assert {action: states[action] for action in states if states[action]} == {
        "trade_in.verified": ["opened", "old_bike_verified"],
        "trade_in.received": ["old_bike_verified", "old_bike_received"],
        "trade_in.cancellation_requested": ["old_bike_received", "cancel_requested"],
        "trade_in.old_plate_cancelled": ["cancel_requested", "old_plate_cancelled"],
        "trade_in.sold": ["old_plate_cancelled", "new_bike_sold"],
        "trade_in.plate_applied": ["new_bike_sold", "plate_applied"],
    }


def test_a_known_phone_is_changed_by_staff_alone(place: Place, owner: Owner, point: Api) -> None:
    """Whoever opens a trade-in with somebody's ID cannot have that person's codes sent elsewhere."""
    session, keyring = place.district.session, place.district.keyring
    for phone in ("13800000001", "13800000001", "13900000002"):
        know_person(
            session=session, keyring=keyring, id_no=owner.id_no, name=owner.name, phone=phone, actor="account:5"
        )
        session.commit()
    assert open_phone(person=session.get_one(Person, owner.person_id), keyring=keyring) == "13800000001"
    body = {"phone": "13700000003", "reason": "本人持身份证到窗口更换"}
    path = f"/api/people/{owner.person_id}/phone"
    assert point.post(path, body).status_code == 403
    operator = place.as_role("operator")
    assert operator.post(path, {**body, "phone": "12"}).json["errors"][0]["field"] == "phone"
    assert operator.post("/api/people/999999/phone", body).status_code == 404
    assert operator.post(path, body).json == {"person_id": owner.person_id, "phone": "137****0003"}
    auditor = place.as_role("auditor")
    told = auditor.get("/api/audit", action="person.phone_changed").json["entries"]
    assert [row["detail"]["phone"] for row in told] == [["138****0001", "137****0003"], [None, "138****0001"]]
    [kept] = auditor.get("/api/audit", action="person.phone_kept").json["entries"]
    assert (kept["actor"], kept["detail"]["phone"]) == ("account:5", ["138****0001", "139****0002"])


def test_who_may_not_read_it(place: Place, point: Api) -> None:
    for api in (point, place.as_role("operator"), place.as_role("finance")):
        assert api.get("/api/audit").status_code == 403
