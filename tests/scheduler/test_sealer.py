"""The sealer: everything is sealed once, and its bound never passes an entry that is still to be committed."""

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session, sessionmaker

from registry.audit import GENESIS, AuditEntry, AuditSeal, Sealer, link, oldest_unsealed_at, record


def write(session: Session, count: int = 1) -> None:
    for _ in range(count):
        record(session=session, actor="account:1", action="did", subject="thing:1", detail={"n": 1})
    session.flush()


def chain(sessions: sessionmaker[Session]) -> list[int]:
    """The entries in the order of the chain, every link checked."""
    before, order = GENESIS, []
    with sessions() as session:
        for seal in session.scalars(select(AuditSeal).order_by(AuditSeal.seal_no)):
            entry = session.get_one(AuditEntry, seal.entry_id)
            assert seal.seal_no == len(order) + 1
            assert seal.sha256 == link(before=before, entry=entry)
            before = seal.sha256
            order.append(entry.id)
    return order


def test_everything_is_sealed_in_batches_and_once(engine: Engine) -> None:
    sessions = sessionmaker(engine)
    with sessions.begin() as session:
        write(session, 25)
    sealer = Sealer(sessions=sessions)
    assert [sealer.run(limit=10) for _ in range(5)] == [10, 10, 5, 0, 0]
    assert sorted(chain(sessions)) == sorted(set(chain(sessions)))
    with sessions() as session:
        assert oldest_unsealed_at(session=session) is None


def test_the_bound_follows_and_a_new_sealer_finds_nothing_to_do(engine: Engine) -> None:
    sessions = sessionmaker(engine)
    sealer = Sealer(sessions=sessions)
    for _ in range(4):
        with sessions.begin() as session:
            write(session, 5)
        sealer.run()
    sealer.run()
    assert sealer.from_id == 21
    assert Sealer(sessions=sessions).run() == 0
    assert len(chain(sessions)) == 20


def test_an_entry_that_commits_late_is_sealed_however_often_we_ran_before(engine: Engine) -> None:
    sessions = sessionmaker(engine)
    sealer = Sealer(sessions=sessions)
    with sessions.begin() as session:
        write(session)
    slow = sessions()
    write(slow)  # holds id 2, not committed
    for _ in range(5):
        with sessions.begin() as session:
            write(session)
        sealer.run()
    assert sealer.from_id <= 2
    with sessions() as session:
        assert session.scalar(select(AuditEntry.id).where(AuditEntry.id == 2)) is None
    slow.commit()
    slow.close()
    assert sealer.run() == 1
    assert sorted(chain(sessions)) == list(range(1, 8))
    assert chain(sessions)[-1] == 2
    for _ in range(3):
        sealer.run()
    assert sealer.from_id == 8


def test_ids_that_were_rolled_back_hold_nobody_up(engine: Engine) -> None:
    sessions = sessionmaker(engine)
    sealer = Sealer(sessions=sessions)
    with sessions() as session:
        write(session, 3)
        session.rollback()
    with sessions.begin() as session:
        write(session)
    for _ in range(3):
        sealer.run()
    assert sealer.from_id == 5
    assert chain(sessions) == [4]


def test_two_sealers_at_once_make_one_chain(engine: Engine) -> None:
    sessions = sessionmaker(engine)
    first, second = Sealer(sessions=sessions), Sealer(sessions=sessions)
    for _ in range(6):
        with sessions.begin() as session:
            write(session, 3)
        first.run(limit=2)
        second.run(limit=2)
    while first.run() or second.run():
        pass
    assert sorted(chain(sessions)) == list(range(1, 19))
