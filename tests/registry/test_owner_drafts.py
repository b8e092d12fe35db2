"""Half-filled forms: sealed, without ID numbers, forgotten after a week, one for a form however many write."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import Engine, func, select, update
from sqlalchemy.orm import Session

from registry.owner_drafts import (
    LASTS,
    OwnerDraft,
    OwnerDraftPhoto,
    TooManyDraftPhotos,
    add_draft_photo,
    draft_images,
    drop_draft,
    drop_drafts_of,
    find_draft,
    forget_drafts,
    half_filled,
    save_draft,
    without_id_numbers,
)
from tests.registry.line import District, Owner, id_number, picture

ID = id_number(70_001)


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        (f"我的身份证是{ID}，请核对", f"我的身份证是{ID[:6]}********{ID[-4:]}，请核对"),
        (ID.lower(), f"{ID[:6]}********{ID[-4:]}"),
        ("0062000000000003306", "0062000000000003306"),
        ("118222699900002", "118222699900002"),
        ("123456789012345678", "123456789012345678"),
        ("13800138000", "13800138000"),
    ],
)
def test_only_the_numbers_of_identity_documents_are_masked(typed: str, kept: str) -> None:
    assert without_id_numbers(typed) == kept


def begun(district: District) -> tuple[int, Owner]:
    """The id of a trade-in just opened, and its owner."""
    owner = district.owner()
    return district.open(owner, district.dealer()).id, owner


def test_a_form_is_kept_sealed_and_its_key_changes_with_what_it_says(district: District) -> None:
    trade_in_id, _ = begun(district)
    session, keyring = district.session, district.keyring
    form = {"session": session, "keyring": keyring, "trade_in_id": trade_in_id, "kind": "appeal"}
    assert find_draft(**form) is None
    first = save_draft(**form, answers={"body": f"那天挂着牌子，我是{ID}"})
    assert (first.answers["body"], ID in first.answers["body"]) == (
        without_id_numbers(f"那天挂着牌子，我是{ID}"),
        False,
    )
    sealed = session.scalars(select(OwnerDraft.answers_sealed)).one()
    assert "牌子".encode() not in sealed
    same = save_draft(**form, answers={"body": first.answers["body"]})
    assert same.key == first.key, "nothing changed"
    more = save_draft(**form, answers={"photos": "given"})
    assert (set(more.answers), more.key == first.key) == ({"body", "photos"}, False)
    for image in (one := picture(), one, picture()):
        add_draft_photo(**form, image=image, most=2)
    session.commit()
    pictured = find_draft(**form)
    assert pictured is not None
    assert (len(pictured.photos), pictured.key == more.key) == (2, False)
    assert draft_images(session=session, draft=pictured)[0] == one
    with pytest.raises(TooManyDraftPhotos):
        add_draft_photo(**form, image=picture(), most=2)
    session.rollback()
    assert half_filled(session=session, trade_in_id=trade_in_id) == ["appeal"]


def test_a_form_left_for_a_week_is_gone_and_so_is_an_erased_owners(district: District) -> None:
    trade_in_id, owner = begun(district)
    session, keyring = district.session, district.keyring
    form = {"session": session, "keyring": keyring, "trade_in_id": trade_in_id}
    for kind in ("wallet", "appeal"):
        save_draft(**form, kind=kind, answers={"wallet_id": "W10001"})
    add_draft_photo(**form, kind="appeal", image=picture(), most=9)
    session.execute(
        update(OwnerDraft).where(OwnerDraft.kind == "wallet").values(saved_at=func.clock_timestamp() - LASTS)
    )
    session.commit()
    assert find_draft(**form, kind="wallet") is None
    assert half_filled(session=session, trade_in_id=trade_in_id) == ["appeal"]
    anew = save_draft(**form, kind="wallet", answers={"other": "x"})
    assert set(anew.answers) == {"other"}, "what was left for a week does not come back"
    session.execute(
        update(OwnerDraft).where(OwnerDraft.kind == "wallet").values(saved_at=func.clock_timestamp() - LASTS)
    )
    assert forget_drafts(session=session) == 1
    assert drop_drafts_of(session=session, owner_id=owner.person_id) == 1
    assert session.scalars(select(OwnerDraftPhoto.id)).all() == []


def test_two_phones_write_one_form(district: District, engine: Engine) -> None:
    trade_in_id, _ = begun(district)
    gate = threading.Barrier(2)

    def write(name: str) -> None:
        with Session(engine) as session:
            gate.wait(timeout=20)
            save_draft(
                session=session,
                keyring=district.keyring,
                trade_in_id=trade_in_id,
                kind="correction",
                answers={name: "1"},
            )
            session.commit()

    threads = [threading.Thread(target=write, args=(name,)) for name in ("vehicle_code", "owner_name")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    draft = find_draft(session=district.session, keyring=district.keyring, trade_in_id=trade_in_id, kind="correction")
    assert draft is not None
    assert set(draft.answers) == {"vehicle_code", "owner_name"}


def test_what_a_second_phone_types_while_the_first_sends_stays(district: District, engine: Engine) -> None:
    trade_in_id, _ = begun(district)
    form = {"keyring": district.keyring, "trade_in_id": trade_in_id, "kind": "correction"}
    with Session(engine) as sending, Session(engine) as typing:
        save_draft(session=sending, **form, answers={"vehicle_code": "1"})
        sending.commit()
        sent = find_draft(session=sending, **form)
        assert sent is not None
        save_draft(session=typing, **form, answers={"vehicle_code": "2"})
        typing.commit()
        drop_draft(session=sending, trade_in_id=trade_in_id, kind="correction", key=sent.key)
        sending.commit()
        left = find_draft(session=typing, **form)
        assert left is not None
        assert left.answers == {"vehicle_code": "2"}
        typing.commit()
        drop_draft(session=sending, trade_in_id=trade_in_id, kind="correction", key=left.key)
        sending.commit()
        assert find_draft(session=typing, **form) is None
