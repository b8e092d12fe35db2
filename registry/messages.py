"""The outbox of notices owed (消息): written with the business fact, sent by the scheduler.

What may be sent to whom depends on the kind of notice (``KINDS``): a decision about somebody's claim, money or request
has to reach him whatever he agreed to; news about a step he takes himself stops when he says so; anything that only we
want needs his consent first. What may not be sent is kept as ``withheld``, so that it can be shown that it was not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    String,
    func,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column, sessionmaker
from sqlalchemy.sql.elements import ColumnElement

from registry.base import Base, Instant, PartnerSilent, PartnerUnavailable, Refusal, table_of
from registry.cases import NewCase, open_new_cases
from registry.consent import answers_of
from registry.dealer_inputs import open_mobile
from registry.dealers import Dealer
from registry.people import Person, open_phone
from registry.sealing import Keyring
from registry.sms_gateway import SmsGateway

SIGNATURE = "【码牌】"
OWNERS_PAGES = "「我的换新」"
TRIES = 12
# While one run holds a message nobody else takes it; longer than a run of the largest batch can last.
LEASE = timedelta(seconds=120)
LONGEST_WAIT = timedelta(minutes=5)
AFTER_OUTAGE = timedelta(seconds=5)
# A silent gateway holds each of them for seconds; the others must get on meanwhile.
THREADS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """What sending needs: consent to ``purpose`` given (``asked``), or only not withdrawn."""

    purpose: str
    asked: bool


# None: what a statutory duty needs takes no consent (个人信息保护法, article 13 (3)).
KINDS: dict[str, Permission | None] = {
    "decision": None,
    "step": Permission(purpose="progress_messages", asked=False),
    "survey": Permission(purpose="survey", asked=True),
}


class Message(Base):
    """One notice to one person or one dealer. ``dedupe_key`` makes owing it twice the same as owing it once.

    ``kind`` is one of KINDS. ``state``: owed → sent, given_up (a case tells staff) or withheld (no permission).
    ``next_at`` is the real instant of the next try, by the database's clock; ``sent_at`` a business instant;
    ``attempts`` counts tries whose message may have gone out.
    """

    __tablename__ = "message"
    __table_args__ = (
        Index("ix_message_owed", "next_at", postgresql_where=text("state = 'owed'")),
        Index("ix_message_dealer_id", "dealer_id", postgresql_where=text("dealer_id IS NOT NULL")),
        CheckConstraint("num_nonnulls(person_id, dealer_id) = 1", name="to_one"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    person_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"), index=True)
    dealer_id: Mapped[int | None] = mapped_column(ForeignKey("dealer.id"))
    kind: Mapped[str] = mapped_column(String(12), server_default="decision")
    dedupe_key: Mapped[str] = mapped_column(String(64), unique=True)
    body: Mapped[str] = mapped_column(String(500))
    state: Mapped[str] = mapped_column(String(8), server_default="owed")
    attempts: Mapped[int] = mapped_column(Integer, server_default="0")
    next_at: Mapped[datetime] = mapped_column(Instant, server_default=func.clock_timestamp())
    created_at: Mapped[datetime] = mapped_column(Instant, server_default=func.clock_timestamp())
    sent_at: Mapped[datetime | None] = mapped_column(Instant)


# Most steps owe one: made once, because putting a statement together takes longer than running it.
_OWED = insert(table_of(Message)).on_conflict_do_nothing(index_elements=["dedupe_key"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One notice owed to one person, of a kind (KINDS)."""

    person_id: int
    dedupe_key: str
    body: str
    kind: str = "decision"

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown kind of notice {self.kind!r}")


def owe_message(*, session: Session, person_id: int, dedupe_key: str, body: str, kind: str = "decision") -> None:
    """Put one notice of a kind (KINDS) into the outbox; nothing happens where the same key is owed already.

    Whether it may be sent is decided when it is sent: who withdraws his consent today gets nothing tomorrow.
    """
    owe_messages(session=session, notices=[Notice(person_id=person_id, dedupe_key=dedupe_key, body=body, kind=kind)])


def owe_messages(*, session: Session, notices: Sequence[Notice]) -> None:
    """Put the notices into the outbox, without those whose key is owed already."""
    if notices:
        session.flush()  # whom and what they are about may still be waiting to be written
        session.execute(_OWED, [asdict(notice) for notice in notices])


def owe_dealer(*, session: Session, dealer_id: int, dedupe_key: str, body: str) -> None:
    """Put one notice to a dealer's registered mobile number into the outbox: the bureau's decisions about it."""
    values = {"dealer_id": dealer_id, "dedupe_key": dedupe_key, "body": body, "kind": "decision"}
    session.execute(insert(Message).values(**values).on_conflict_do_nothing(index_elements=[Message.dedupe_key]))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Letter:
    """A message taken for sending: ``phone`` is in clear, None where its receiver gave none."""

    id: int
    number: str
    attempts: int
    body: str
    phone: str | None


def send_owed(
    *,
    session_factory: sessionmaker[Session],
    gateway: SmsGateway,
    keyring: Keyring,
    now: datetime,
    limit: int = 100,
    go_on: Callable[[], bool] = lambda: True,
    address: str | None = None,
) -> int:
    """Send up to ``limit`` messages that are due and return how many the gateway took.

    What goes out is signed, and names the ``address`` of the owners' pages where the text sends its reader there.

    At least once, each under a number of ours that never changes, so that the gateway sends it once. A silent gateway
    is tried again after 1, 2, 4 … seconds; after twelve tries, or where the person has no phone, the message is given
    up with a case for staff. While the gateway is away nothing is tried and nothing is given up. ``go_on`` is asked
    before each sending.
    """
    with session_factory.begin() as session:
        letters = _take_due(session=session, keyring=keyring, limit=limit)
    if not letters:
        return 0
    away = [False]

    def post(letter: _Letter) -> str:
        if away[0] or not go_on():
            return "later"
        result = _post(gateway, letter, address)
        away[0] = away[0] or result == "away"
        return result

    with ThreadPoolExecutor(max_workers=min(THREADS, len(letters)), thread_name_prefix="messages") as pool:
        results = list(pool.map(post, letters))
    with session_factory.begin() as session:
        _write_down(session=session, results=list(zip(letters, results, strict=True)), now=now)
    return results.count("sent")


def _take_due(*, session: Session, keyring: Keyring, limit: int) -> Sequence[_Letter]:
    due = (
        select(Message, Person, Dealer)
        .outerjoin(Person, Person.id == Message.person_id)
        .outerjoin(Dealer, Dealer.id == Message.dealer_id)
        .where(Message.state == "owed", Message.next_at <= func.clock_timestamp())
        .order_by(Message.next_at)
        .limit(limit)
        .with_for_update(skip_locked=True, of=Message)
    )
    letters = []
    taken = session.execute(due).all()
    receivers = {person.id for message, person, _ in taken if person is not None and KINDS.get(message.kind)}
    answers = answers_of(session=session, person_ids=receivers)
    for message, person, dealer in taken:
        if not _may_be_sent(message, answers):
            message.state = "withheld"
            continue
        letters.append(
            _Letter(
                id=message.id,
                number=message_number(message),
                attempts=message.attempts + 1,
                body=message.body,
                phone=open_phone(person=person, keyring=keyring)
                if person is not None
                else open_mobile(dealer=dealer, keyring=keyring),
            )
        )
    if letters:
        mine = update(Message).where(Message.id.in_([letter.id for letter in letters]))
        session.execute(mine.values(attempts=Message.attempts + 1, next_at=_from_now(LEASE)))
    return letters


def _may_be_sent(message: Message, answers: Mapping[tuple[int, str], bool]) -> bool:
    needed = KINDS.get(message.kind)
    if needed is None or message.person_id is None:
        return True
    return answers.get((message.person_id, needed.purpose), not needed.asked)


def message_number(message: Message) -> str:
    """Return our number for a message: the same for life, and another for another database's message of that id."""
    receiver = message.person_id if message.person_id is not None else f"dealer:{message.dealer_id}"
    content = f"{message.dedupe_key}\0{receiver}\0{message.body}"
    return f"M{message.id}-{hashlib.sha256(content.encode()).hexdigest()[:16]}"


def as_sent(*, body: str, address: str | None) -> str:
    """Return the text that goes out for a notice: signed once, with the pages' address behind their first mention."""
    if address is not None:
        body = body.replace(OWNERS_PAGES, f"{OWNERS_PAGES}（{address}）", 1)
    return body if body.startswith(SIGNATURE) else SIGNATURE + body


def _post(gateway: SmsGateway, letter: _Letter, address: str | None) -> str:
    if letter.phone is None:
        return "no_phone"
    try:
        gateway.send(message_no=letter.number, phone=letter.phone, text=as_sent(body=letter.body, address=address))
    except PartnerSilent:
        return "silent"
    except PartnerUnavailable:
        return "away"
    except Refusal as refusal:
        return refusal.code
    return "sent"


def _write_down(*, session: Session, results: Sequence[tuple[_Letter, str]], now: datetime) -> None:
    """Write down what became of each letter; those that went the same way in one statement."""
    alike: dict[tuple[str, int], list[int]] = {}
    given_up: list[NewCase] = []
    for letter, result in results:
        if result in {"sent", "away", "later"}:
            way = ("sent" if result == "sent" else "away", 0)
        elif result == "no_phone" or letter.attempts >= TRIES:
            way = ("given_up", 0)
            detail = {"why": result, "tries": letter.attempts}
            given_up.append(NewCase(kind="message_undelivered", subject=f"message:{letter.id}", detail=detail))
        else:
            way = ("again", letter.attempts)
        alike.setdefault(way, []).append(letter.id)
    for (way_of_all, attempts), ids in alike.items():
        mine = update(Message).where(Message.id.in_(ids), Message.state == "owed")
        if way_of_all == "sent":
            session.execute(mine.values(state="sent", sent_at=now))
        elif way_of_all == "away":
            session.execute(mine.values(attempts=Message.attempts - 1, next_at=_from_now(AFTER_OUTAGE)))
        elif way_of_all == "given_up":
            session.execute(mine.values(state="given_up"))
        else:
            wait = min(timedelta(seconds=2 ** (attempts - 1)), LONGEST_WAIT)
            session.execute(mine.values(next_at=_from_now(wait)))
    open_new_cases(session=session, cases=given_up)


def _from_now(after: timedelta) -> ColumnElement[datetime]:
    """The database's clock plus ``after``: waits run in real time."""
    return func.clock_timestamp(type_=DateTime(timezone=True)) + after
