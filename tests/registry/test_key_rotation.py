"""Keys are rotated while others write, survive being cut off, and touch nothing but the sealed bytes."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from sqlalchemy import Engine, delete, func, insert, select, text
from sqlalchemy.orm import Session, sessionmaker

from app.commands_keys import TABLES, run
from app.config import Settings
from app.startup import CannotStart
from migrations.tables import metadata
from registry.audit import AuditEntry
from registry.key_rotation import BLOCK, PEOPLE, keys_in_use, rotate
from registry.people import Person, know_person, open_id_number, open_name, open_phone
from registry.sealing import Keyring, Unsealable
from tests.registry.cutting import kill_at
from tests.registry.line import id_number

OLD, NEW, INDEX = bytes(range(32)), bytes(range(32, 64)), bytes(range(64, 96))
BEFORE = Keyring(data_keys={1: OLD}, active=1, index_key=INDEX)
BOTH = Keyring(data_keys={2: NEW, 1: OLD}, active=2, index_key=INDEX)
AFTER = Keyring(data_keys={2: NEW}, active=2, index_key=INDEX)
MANY = 60


class CutOff(Exception):
    """The process died here."""


def fill(session: Session, keyring: Keyring, serials: range) -> None:
    for serial in serials:
        phone = f"138{serial:08d}" if serial % 3 else None
        know_person(session=session, keyring=keyring, id_no=id_number(serial), name="陈建英", phone=phone)
    session.commit()


def identities(session: Session) -> dict[int, tuple[bytes, bytes | None]]:
    rows = session.execute(select(Person.id, Person.id_index, Person.phone_index))
    return {number: (id_index, phone_index) for number, id_index, phone_index in rows}


def test_nothing_sealed_is_forgotten() -> None:
    sealed = {
        (table.name, column.name)
        for table in metadata.tables.values()
        for column in table.columns
        if column.name.endswith("_sealed")
    }
    assert sealed == {(each.table.name, name) for each in TABLES for name in each.fields}


def test_a_rotation_cut_off_amid_writers_is_taken_up_again(session: Session, engine: Engine) -> None:
    fill(session, BEFORE, range(MANY))
    before = identities(session)
    sessions, stop, written = sessionmaker(engine), threading.Event(), [1000]

    def write() -> None:
        with Session(engine) as mine:
            while not stop.is_set():
                fill(mine, BOTH, range(written[0], written[0] + 1))
                written[0] += 1

    def cut(done: int, total: int) -> None:
        if done >= 20:
            raise CutOff

    writer = threading.Thread(target=write)
    writer.start()
    try:
        with pytest.raises(CutOff):
            rotate(sessions=sessions, keyring=BOTH, tables=[PEOPLE], actor="test", progress=cut, block=10)
        session.rollback()
        used = keys_in_use(session=session, sealed=PEOPLE)
        assert used[1] > 0
        assert used[2] > 0
        again = rotate(sessions=sessions, keyring=BOTH, tables=[PEOPLE], actor="test", block=10)
    finally:
        stop.set()
        writer.join(timeout=20)
    assert again.complete
    assert again.rotated == {"person": MANY - 20}
    session.rollback()
    assert set(keys_in_use(session=session, sealed=PEOPLE)) == {2}
    after = identities(session)
    assert {number: after[number] for number in before} == before
    assert len(after) == MANY + written[0] - 1000
    for person in session.scalars(select(Person).execution_options(populate_existing=True)):
        assert open_name(person=person, keyring=AFTER) == "陈建英"
        assert AFTER.index(open_id_number(person=person, keyring=AFTER), field="id_no") == person.id_index
        phone = open_phone(person=person, keyring=AFTER)
        assert (AFTER.index(phone, field="phone") if phone else None) == person.phone_index


def test_a_second_run_changes_nothing(session: Session, engine: Engine) -> None:
    fill(session, BEFORE, range(5))
    sessions = sessionmaker(engine)
    assert rotate(sessions=sessions, keyring=BOTH, tables=TABLES, actor="test").rotated["person"] == 5
    rows = session.execute(select(Person.id_sealed, Person.name_sealed).order_by(Person.id)).all()
    session.rollback()
    nothing = dict.fromkeys((sealed.table.name for sealed in TABLES), 0)
    assert rotate(sessions=sessions, keyring=BOTH, tables=TABLES, actor="test").rotated == nothing
    assert session.execute(select(Person.id_sealed, Person.name_sealed).order_by(Person.id)).all() == rows
    entries = session.scalars(select(AuditEntry)).all()
    assert [(entry.action, entry.detail["rotated"]) for entry in entries] == [
        ("keys_rotated", {**nothing, "person": 5})
    ]


def test_a_row_somebody_holds_is_passed_over_and_said(session: Session, engine: Engine) -> None:
    fill(session, BEFORE, range(4))
    sessions = sessionmaker(engine)
    held = select(Person.id).order_by(Person.id).limit(1).with_for_update()
    session.execute(held)
    result = rotate(sessions=sessions, keyring=BOTH, tables=[PEOPLE], actor="test")
    assert (result.rotated, result.left, result.complete) == ({"person": 3}, {"person": 1}, False)
    session.rollback()
    assert rotate(sessions=sessions, keyring=BOTH, tables=[PEOPLE], actor="test").complete


def test_a_value_that_does_not_open_is_named_and_left(session: Session, engine: Engine) -> None:
    fill(session, BEFORE, range(3))
    first = session.scalar(select(func.min(Person.id)))
    with pytest.raises(Unsealable, match=f"person {first}: no data key with id 1"):
        rotate(sessions=sessionmaker(engine), keyring=AFTER, tables=[PEOPLE], actor="test")
    assert keys_in_use(session=session, sealed=PEOPLE) == {1: 8}


def test_the_command(settings: Settings, session: Session, capsys: pytest.CaptureFixture[str]) -> None:
    fill(session, settings.keyring, range(6))
    old = dict(settings.field_keys)
    rotating = replace(settings, field_keys={2: NEW, **old})
    assert run(rotating) == 0
    said = capsys.readouterr().out
    assert "换密钥完成 6 行" in said
    assert "旧密钥 1 已经没有数据在用" in said
    person = session.scalars(select(Person).limit(1)).one()
    assert open_name(person=person, keyring=replace(settings, field_keys={2: NEW}).keyring) == "陈建英"
    session.execute(text("UPDATE person SET name_sealed = '\\x'"))
    session.commit()
    with pytest.raises(CannotStart, match="name is empty"):
        run(rotating)
    session.execute(delete(Person))
    session.commit()
    assert run(rotating) == 0


def test_a_killed_command_is_run_again(settings: Settings, session: Session) -> None:
    """SIGKILL in the second thousand: what was rotated stays, the rest follows, nobody is split in two."""
    keyring = settings.keyring
    many = BLOCK + 300
    rows = [
        {
            "id_index": keyring.index(id_number(serial), field="id_no"),
            "id_sealed": keyring.seal(id_number(serial), field="id_no"),
            "name_sealed": keyring.seal("陈建英", field="name"),
            "phone_sealed": keyring.seal(f"138{serial:08d}", field="phone"),
            "phone_index": keyring.index(f"138{serial:08d}", field="phone"),
        }
        for serial in range(many)
    ]
    session.execute(insert(Person), rows)
    session.commit()
    before = identities(session)
    session.rollback()
    ids = sorted(before)
    old = settings.field_keys[1]
    keys = f"2:{NEW.hex()},1:{old.hex()}"
    where = {"table": "person", "event": "UPDATE", "when": f"NEW.id = {ids[BLOCK + 150]}"}
    kill_at(settings, "-m", "app.cli", "keys", "rotate", **where, MAPAI_FIELD_KEYS=keys)
    session.rollback()
    assert keys_in_use(session=session, sealed=PEOPLE) == {1: 3 * 300, 2: 3 * BLOCK}
    session.rollback()
    assert run(replace(settings, field_keys={2: NEW, 1: old})) == 0
    assert keys_in_use(session=session, sealed=PEOPLE) == {2: 3 * many}
    assert identities(session) == before
    alone = replace(settings, field_keys={2: NEW}).keyring
    for person in session.scalars(select(Person)):
        assert alone.index(open_id_number(person=person, keyring=alone), field="id_no") == person.id_index
        assert open_name(person=person, keyring=alone) == "陈建英"
    known = know_person(session=session, keyring=alone, id_no=id_number(7), name="陈建英", phone=None)
    assert known in before
