"""The auditor reads everything that supervision needs, and writes nothing anywhere."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import sessionmaker

from app.access import rule_of
from registry.accounts import Account
from registry.audit import AuditEntry, seal_entries
from tests.api.conftest import Api, Place, faults, walk
from tests.web.scene import HASH as PAGE_HASH
from tests.web.scene import Browser

WRITES = {"POST", "PUT", "PATCH", "DELETE"}
# Signing in and out, which are no deeds and which everybody may do.
OPEN_TO_ALL = {
    "/api/dealer-applications",
    "/api/dealer-passwords",
    "/dealers/apply",
    "/dealers/password",
    "/proof",
    "/api/sign-ins",
    "/api/sign-ins/by-code",
    "/api/one-time-codes",
    "/sign-in",
    "/sign-in/phone",
    "/sign-in/code",
    "/sign-in/second",
    "/sign-in/second/set-up",
    "/resume",
    "/resume/code",
    "/sign-out",
}


def _filled_in(rule: str) -> str:
    """An address of the route, with something in the place of each of its variables."""
    chosen = re.sub(r"<any\((\w+)[^>]*>", r"\1", rule)
    return re.sub(r"<int:\w+>", "1", re.sub(r"<(?!int)[^>]+>", "GS-7K2M-94", chosen))


def writing_routes(app: Any) -> list[tuple[str, str, Any]]:
    return [
        (_filled_in(rule.rule), method, rule)
        for rule in app.url_map.iter_rules()
        for method in sorted((rule.methods or set()) & WRITES)
    ]


# Looks and reckonings that change nothing, asked for by POST: what is asked does not belong into an address.
READ_BY_POST = {
    "/api/filings/search",
    "/api/people/<int:person_id>/unmaskings",
    "/api/programmes/<code>/what-if",
    "/desk/search",
    "/desk/people/<reference>",
    "/board/claims/export",
}
# Everybody of the staff looks after his own account.
OWN_ACCOUNT = {"/account/authenticator", "/account/password", "/account/recovery-codes"}


def test_an_auditor_is_403_on_every_writing_route(place: Place) -> None:
    session = place.district.session
    auditor = place.as_role("auditor")
    session.add(Account(login="reads", password_hash=PAGE_HASH, display_name="审计", role="auditor"))
    session.commit()
    browser = Browser(place.app)
    browser.sign_in("reads")
    assert browser.page is not None
    token = re.search(r'name="csrf_token" value="([^"]+)"', browser.page.text)
    assert token is not None
    acted = select(func.count()).select_from(AuditEntry).where(AuditEntry.actor.like("account:%"))
    before, deeds, reached = session.scalar(acted), 0, set()
    for path, method, rule in writing_routes(place.app):
        found = rule_of(place.app.view_functions[rule.endpoint])
        assert found is not None
        if found.kind == "public":
            assert rule.rule in OPEN_TO_ALL, f"everybody may write at {rule.rule}"
            continue
        deeds += 1
        if path.startswith("/api/"):
            headers = {"Authorization": f"Bearer {auditor.token}", "Idempotency-Key": f"auditor-{deeds:04d}"}
            answer = auditor.client.open(path, method=method, headers=headers, json={})
        else:
            answer = browser.client.open(path, method=method, data={"csrf_token": token[1]})
        if answer.status_code != 403:
            reached.add(rule.rule)
    assert deeds > 15
    assert reached == READ_BY_POST | OWN_ACCOUNT
    session.rollback()
    assert session.scalar(acted) == before


def test_an_auditor_reads_board_claims_and_audit(place: Place, point: Api, owner: Any, programme: None) -> None:
    reference = walk(point, place, owner, until="applied")
    auditor = place.as_role("auditor")
    assert auditor.get("/api/board").json["claims"] == 1
    assert auditor.get(f"/api/trade-ins/{reference}").json["place"]["position"] == 1
    place.district.session.add(Account(login="reads", password_hash=PAGE_HASH, display_name="审计", role="auditor"))
    place.district.session.commit()
    browser = Browser(place.app)
    browser.sign_in("reads")
    for path in ("/board", "/board/claims", "/board/claims/1"):
        assert browser.open(path).status_code == 200, path


def test_the_audit_is_read_page_by_page_and_filtered(place: Place, point: Api, owner: Any, programme: None) -> None:
    reference = walk(point, place, owner, until="applied")
    with sessionmaker(place.district.session.get_bind()).begin() as session:
        sealed = seal_entries(session=session)
    auditor = place.as_role("auditor")
    subject = f"trade_in:{reference}"
    whole = auditor.get("/api/audit", subject=subject, limit=200).json
    assert whole["next_before"] is None
    ids = [entry["id"] for entry in whole["entries"]]
    assert len(ids) > 5
    assert ids == sorted(ids, reverse=True)
    assert all(entry["subject"] == subject and entry["seal_no"] <= sealed for entry in whole["entries"])
    assert all(len(entry["sha256"]) == 64 for entry in whole["entries"])
    paged: list[int] = []
    before: dict[str, int] = {}
    while True:
        page = auditor.get("/api/audit", subject=subject, limit=2, **before).json
        assert len(page["entries"]) <= 2
        paged += [entry["id"] for entry in page["entries"]]
        if page["next_before"] is None:
            break
        before = {"before": page["next_before"]}
    assert paged == ids
    actors = {entry["actor"] for entry in whole["entries"]}
    assert "account:1" in actors
    mine = auditor.get("/api/audit", actor="account:1").json["entries"]
    assert {entry["actor"] for entry in mine} == {"account:1"}
    day = whole["entries"][0]["at"][:10]
    assert auditor.get("/api/audit", day=day).json["entries"]
    assert auditor.get("/api/audit", day="2020-01-01").json["entries"] == []
    assert auditor.get("/api/audit", subject="trade_in:none").json == {"entries": [], "next_before": None}
    for secret in (owner.name, owner.id_no, owner.phone):
        assert secret not in auditor.get("/api/audit", limit=200).text


def test_the_audit_is_for_auditors_and_administrators(place: Place, point: Api) -> None:
    for other in (point, place.as_role("operator"), place.as_role("reviewer"), place.as_role("finance")):
        assert other.get("/api/audit").status_code == 403
    administrator = place.as_role("administrator")
    assert administrator.get("/api/audit").status_code == 200
    wrong = administrator.get("/api/audit", day="yesterday", limit=0, before="x", colour="red")
    assert faults(wrong) == {
        "day": "not_a_day",
        "limit": "out_of_range",
        "before": "not_whole",
        "colour": "unknown_field",
    }
