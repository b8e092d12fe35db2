"""A district whose desk has something in every queue, and the bureau's people in their browsers."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import sessionmaker

from app.clients.sms.fake import FakeGateway
from app.clients.sms.server import Options as SmsOptions
from registry.filings import FiledBike
from registry.trade_ins import EVERYBODYS, TradeIn
from subsidy.appeals import file_appeal
from subsidy.claims import Claim
from subsidy.operator import Statement, StatementLine
from subsidy.reconciliation import compare
from tests.registry.dealer_walk import Enrolment, form
from tests.registry.line import KEY, NOW, Owner
from tests.web.scene import STAFF, Browser, Scene, three_stages

ROLES = ("reviewer", "finance", "auditor", "administrator")
RESERVE_FEN = 60_000


class Bureau:
    """The bureau behind its pages: one browser a role, all in one application."""

    def __init__(self, scene: Scene, *, second_approval_fen: int = 5_000_000) -> None:
        self.scene = scene
        scene.settings = replace(scene.settings, second_approval_fen=second_approval_fen)
        scene.programme(replace(three_stages(), reserve_fen=RESERVE_FEN))
        for role in ROLES:
            scene.account(role, role=role)
        scene.account("finance2", role="finance")
        self.web = scene.app()
        self.counter = self.at_desk("point")
        self.operator, self.reviewer, self.finance = (self.at_desk(who) for who in (STAFF, "reviewer", "finance"))
        self.enrolment = Enrolment(
            session=scene.session,
            keyring=scene.settings.keyring,
            gateway=FakeGateway(SmsOptions(key=KEY, now=lambda: NOW)),
        )

    def at_desk(self, login: str) -> Browser:
        browser = Browser(self.web)
        browser.sign_in(login)
        return browser

    def claim(self, login: str | None = None) -> Owner:
        """A completed trade-in."""
        owner = self.scene.owner(login)
        self.counter.complete(self.scene, owner)
        return owner

    def owed(self, number: int) -> None:
        """So many awards whose owners gave a wallet."""
        for serial in range(number):
            self.claim(f"owed{serial}")
            wallet = self.at_desk(f"owed{serial}")
            wallet.give_wallet(f"W1000{serial}")

    def declined(self, login: str | None = None) -> int:
        """A claim that is declined because the bike was filed after the cut-off; returns its position."""
        owner, counter = self.scene.owner(login), self.counter
        bike = self.scene.district.stock(self.scene.dealer)
        reference = counter.open_trade_in(owner)
        counter.send_photos()
        counter.receive(owner)
        counter.send(action="/cancellation")
        counter.sell(bike.vehicle_code, owner)
        session = self.scene.session
        late = update(FiledBike).where(FiledBike.id == owner.filed_bike_id)
        session.execute(late.values(filed_on=date(2026, 2, 1)))
        session.commit()
        counter.open(f"/point/trade-ins/{reference}")
        counter.send(action="/application")
        claim = self.claim_of(reference)
        assert claim.state == "declined"
        return claim.position

    def claim_of(self, reference: str) -> Claim:
        session = self.scene.session
        session.rollback()
        asked = select(Claim).join(TradeIn, TradeIn.id == Claim.trade_in_id).where(TradeIn.reference == reference)
        return session.scalars(asked, execution_options={"populate_existing": True}).one()

    def state_at(self, position: int) -> tuple[str, int]:
        """State and fen of the claim at a position."""
        session = self.scene.session
        session.rollback()
        row = session.execute(select(Claim.state, Claim.amount_fen).where(Claim.position == position)).one()
        return row.state, row.amount_fen

    def appeal(self, position: int, body: str = "我的车 2021 年就备案了，请再查一次。") -> str:
        session = self.scene.session
        claim = session.scalars(select(Claim).where(Claim.position == position)).one()
        appeal = file_appeal(
            session=session,
            reference=session.get_one(TradeIn, claim.trade_in_id).reference,
            reach=EVERYBODYS,
            body=body,
            working_days=15,
            actor="account:9",
            now=NOW,
        )
        session.commit()
        return appeal.reference

    def differing_statement(self) -> None:
        """Yesterday's statement lists a payment nobody here ordered."""
        line = StatementLine(bank_number="EC-20260615-000042", state="settled", amount_fen=30_000)
        of = Statement(day=(NOW - timedelta(days=1)).date(), settled_count=1, settled_fen=30_000, lines=(line,))
        with sessionmaker(self.scene.session.get_bind()).begin() as session:
            compare(session=session, statement=of, now=NOW)

    def furnish(self) -> None:
        """Put something into every queue."""
        self.owed(2)
        self.claim()
        first, second = self.declined("late1"), self.declined("late2")
        self.operator.open("/desk/batches")
        self.operator.send(action="/desk/batches")
        self.operator.open(f"/board/claims/{first}")
        self.operator.send(action="/overrule", deed="overrule", reason="备案日期录错了，档案里是 2021 年 3 月。")
        self.appeal(second)
        self.operator.open("/board/claims/3")
        self.operator.send(action="/hold", deed="hold", reason_code="sale", reason="发票金额和标价差得多，要核对。")
        self.operator.open("/board/claims/1")
        self.operator.send(
            action="/return",
            deed="return",
            kind="bike_returned",
            proof_no="TH-2026-07",
            reason="车主把新车退给店里了。",
        )
        self.enrolment.apply(form())
        for until in ("trained", "enrolled"):
            self.enrolment.dealer(until=until)
        self.operator.open("/desk/programme/draft")
        draft = {"s2_places": "6", "s2_budget": "1200", "note": "二阶段名额不够，财政同意追加。", "what": "keep"}
        self.operator.send(action="/desk/programme/draft", **{**typed(self.operator), **draft})
        self.operator.open("/desk/programme")
        self.operator.send(
            action="/switch",
            reason_zh="系统要停机核对台账，预计两小时。",
            reason_en="The books are being checked, about two hours.",
            note="对账差异查清以前先停。",
        )
        self.differing_statement()


def typed(browser: Browser) -> dict[str, str]:
    """What the visible fields of the page hold, as a browser would send them back."""
    import html
    import re

    assert browser.page is not None
    text = browser.page.text
    found = {}
    for field in re.findall(r"<input\b[^>]*>", text):
        name, value = re.search(r'name="([^"]+)"', field), re.search(r'value="([^"]*)"', field)
        if name and value and 'type="hidden"' not in field and ('type="checkbox"' not in field or " checked" in field):
            found[name[1]] = html.unescape(value[1])
    return found
