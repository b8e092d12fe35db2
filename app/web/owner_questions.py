"""An owner's forms, one question a page: answers are kept as a draft, looked over once more, and sent once.

What is typed survives a closed browser and another phone: the draft stands under the trade-in. The last button carries
the draft's key, so that neither a double tap nor the browser's way back sends a form twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from flask import abort, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app.access import requires
from app.context import keyring
from app.db import db
from app.errors import status_of
from app.web.answering import INCOMPLETE, Answer, long_text, sent_files, take_form
from app.web.blueprint import web
from app.web.forms import Form, FormIncomplete
from app.web.language import _
from app.web.owner_record import find_own
from app.web.trade_in_record import Record
from registry.base import Refusal
from registry.owner_drafts import (
    Draft,
    OwnerDraftPhoto,
    add_draft_photo,
    drop_draft,
    find_draft,
    remove_draft_photos,
    save_draft,
)
from registry.receiving import LARGEST_PHOTO_BYTES, PhotoTooLarge, PhotoUnreadable, is_picture

Kind = Literal["wallet", "correction", "appeal"]
# The last part of an address that names a form.
FORMS = "any(wallet,correction,appeal):kind"
PHOTOS = "photos"
GIVEN = "given"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question on a page of its own.

    ``label`` is the question, ``short`` what its answer is called on the last page, ``before`` what one has to know to
    answer it, ``stands`` what is filled in to begin with. Pictures may be left out.
    """

    name: str
    label: str
    short: str
    hint: str = ""
    shape: Literal["line", "text", "pictures"] = "line"
    longest: int = 400
    before: tuple[str, ...] = ()
    stands: str = ""
    refuse: Callable[[Form], None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnerForm:
    """One form of an owner: its questions, what its last page says, and what sends it.

    ``send`` gets the draft and returns the sentence shown afterwards. ``facts`` stand above the answers on the last
    page; ``counter`` says what can be done about it at the point.
    """

    kind: Kind
    title: str
    questions: tuple[Question, ...]
    consequences: tuple[str, ...]
    button: str
    send: Callable[[Draft], str]
    facts: tuple[tuple[str, str], ...] = ()
    most_photos: int = 0
    counter: str = ""

    def question(self, name: str) -> Question:
        """Return the question of this name; 404 where the form has none."""
        return next((each for each in self.questions if each.name == name), None) or abort(404)


# What each form is made of; app/web/owner_forms.py fills it. None where there is nothing to fill in now.
MAKERS: dict[str, Callable[[Record], OwnerForm | None]] = {}


def way_into(record: Record, kind: Kind) -> str:
    """Return where filling in begins or goes on: the first question without an answer, or the last page."""
    made = MAKERS[kind](record)
    if made is None:
        return url_for("web.my_trade_in", reference=record.trade_in.reference)
    return _next_page(record, made, _draft(record, kind))


@web.get(f"/my/<reference>/<{FORMS}>/<question>", endpoint="my_question")
@requires("owner")
def show_question(reference: str, kind: Kind, question: str) -> Response | str:
    """One question, with what was answered before."""
    record = find_own(reference)
    made = MAKERS[kind](record)
    if made is None:
        return redirect(_own_page(reference), 303)
    asked, draft = made.question(question), _draft(record, kind)
    typed = draft.answers.get(question, asked.stands) if draft else asked.stands
    return _question_page(record, made, asked, Form(fields=(question,), values={question: typed}))


@web.post(f"/my/<reference>/<{FORMS}>/<question>", endpoint="take_my_answer")
@requires("owner")
def take_answer(reference: str, kind: Kind, question: str) -> Answer:
    """Keep one answer and go on to the next question; what cannot be meant is said at once."""
    record = find_own(reference)
    made = MAKERS[kind](record)
    if made is None:
        return redirect(_own_page(reference), 303)
    asked = made.question(question)
    form = Form.read(question)
    try:
        stay = _keep(record, made, asked, form)
        db.session.commit()
    except FormIncomplete:
        db.session.rollback()
        return _question_page(record, made, asked, form), INCOMPLETE
    except Refusal as refusal:
        db.session.rollback()
        form.refuse(refusal)
        return _question_page(record, made, asked, form), status_of(refusal)
    here = url_for("web.my_question", reference=reference, kind=kind, question=question)
    return redirect(here if stay else _next_page(record, made, _draft(record, kind)), 303)


@web.get(f"/my/<reference>/<{FORMS}>/check", endpoint="my_check")
@requires("owner")
def show_check(reference: str, kind: Kind) -> Response | str:
    """Every answer once more, each with a way to change it, and the button that sends them."""
    record = find_own(reference)
    made, draft = MAKERS[kind](record), _draft(record, kind)
    if made is None or draft is None or _open(made, draft):
        return redirect(way_into(record, kind), 303)
    return _check_page(record, made, draft, Form(fields=_names(made)))


@web.post(f"/my/<reference>/<{FORMS}>", endpoint="send_my_form")
@requires("owner")
def send_form(reference: str, kind: Kind) -> Answer:
    """Send the form, once for each content; what is refused is shown at its question, with what was typed."""
    record = find_own(reference)
    form = Form.read()

    def work() -> str:
        made, draft = MAKERS[kind](find_own(reference)), _draft(record, kind)
        if made is None or draft is None:
            flash(_("这张表已经不在了：可能填好交过了，也可能放了 7 天以上。"))
            return _own_page(reference)
        form.fields, form.values = _names(made), dict(draft.answers)
        if draft.key != form.submission:
            form.blame(None, _("这张表在别的地方改过，请再看一遍。"))
        form.check()
        said = made.send(draft)
        drop_draft(session=db.session(), trade_in_id=record.trade_in.id, kind=kind, key=draft.key)
        flash(said)
        return _own_page(reference)

    return take_form(form=form, work=work, page=lambda form: _refused_page(reference, kind, form), names=NAMES[kind])


# How the domain calls what a question asks for.
NAMES: dict[str, dict[str, str]] = {"wallet": {}, "correction": {}, "appeal": {"image": PHOTOS}}


@web.get("/my/<reference>/appeal/pictures/<int:photo_id>", endpoint="my_draft_picture")
@requires("owner")
def draft_picture(reference: str, photo_id: int) -> Response:
    """One picture of the appeal that is being written."""
    draft = _draft(find_own(reference), "appeal")
    if draft is None or photo_id not in draft.photos:
        abort(404)
    image = db.session.get_one(OwnerDraftPhoto, photo_id).image
    kind = "image/png" if image.startswith(b"\x89PNG") else "image/jpeg"
    return Response(image, content_type=kind, headers={"Cache-Control": "private, no-store"})


def read_images(form: Form, name: str, *, most: int) -> list[bytes]:
    """Return the pictures chosen in an input; blames it where one is none or too large, or there are too many."""
    images = [file.read(LARGEST_PHOTO_BYTES + 1) for file in sent_files(name)]
    if len(images) > most:
        form.blame(name, _("最多交 %(most)s 张照片。", most=most))
    for image in images:
        if len(image) > LARGEST_PHOTO_BYTES:
            form.refuse(PhotoTooLarge(field=name))
        elif not is_picture(image):
            form.refuse(PhotoUnreadable(field=name))
    form.check()
    return images


def _keep(record: Record, made: OwnerForm, asked: Question, form: Form) -> bool:
    """Keep what was answered; True where the page is to be shown once more."""
    if asked.shape == "pictures":
        return _keep_pictures(record, made, form)
    _keep_answer(record, made, asked, form)
    return False


def _keep_answer(record: Record, made: OwnerForm, asked: Question, form: Form) -> None:
    missing = _("还没有填%(what)s。", what=asked.short)
    if asked.shape == "text":
        long_text(form, asked.name, missing)
    else:
        form.text(asked.name, missing, longest=asked.longest)
    form.check()
    if asked.refuse is not None:
        asked.refuse(form)
    form.check()
    _save(record, made, {asked.name: form.value(asked.name)})


def _keep_pictures(record: Record, made: OwnerForm, form: Form) -> bool:
    """Keep the pictures chosen; True where the page is to be shown once more, with them or without."""
    facts = {"session": db.session(), "keyring": keyring(), "trade_in_id": record.trade_in.id, "kind": made.kind}
    if "remove" in request.form:
        remove_draft_photos(**facts)  # type: ignore[arg-type]
        return True
    images = read_images(form, PHOTOS, most=made.most_photos)
    for image in images:
        add_draft_photo(**facts, image=image, most=made.most_photos)  # type: ignore[arg-type]
    _save(record, made, {PHOTOS: GIVEN})
    return "add" in request.form


def _save(record: Record, made: OwnerForm, answers: dict[str, str]) -> None:
    trade_in_id = record.trade_in.id
    save_draft(session=db.session(), keyring=keyring(), trade_in_id=trade_in_id, kind=made.kind, answers=answers)


def _draft(record: Record, kind: str) -> Draft | None:
    return find_draft(session=db.session(), keyring=keyring(), trade_in_id=record.trade_in.id, kind=kind)


def _names(made: OwnerForm) -> tuple[str, ...]:
    return tuple(each.name for each in made.questions)


def _open(made: OwnerForm, draft: Draft | None) -> list[Question]:
    return [each for each in made.questions if draft is None or each.name not in draft.answers]


def _next_page(record: Record, made: OwnerForm, draft: Draft | None) -> str:
    reference, left = record.trade_in.reference, _open(made, draft)
    if left:
        return url_for("web.my_question", reference=reference, kind=made.kind, question=left[0].name)
    return url_for("web.my_check", reference=reference, kind=made.kind)


def _own_page(reference: str) -> str:
    return url_for("web.my_trade_in", reference=reference)


def _refused_page(reference: str, kind: Kind, form: Form) -> str:
    """The question whose answer was refused; the last page where several were, or none by itself."""
    record = find_own(reference)
    made, draft = MAKERS[kind](record), _draft(record, kind)
    wrong = {fault.field for fault in form.errors}
    if made is None or draft is None:
        return render_template("own_refused.html", record=record, form=form)
    if len(wrong) == 1 and None not in wrong:
        return _question_page(record, made, made.question(str(wrong.pop())), form)
    return _check_page(record, made, draft, form)


def _question_page(record: Record, made: OwnerForm, asked: Question, form: Form) -> str:
    draft = _draft(record, made.kind)
    return render_template(
        "own_question.html",
        record=record,
        made=made,
        asked=asked,
        form=form,
        number=_names(made).index(asked.name) + 1,
        photos=list(draft.photos) if draft else [],
        answered=draft is not None and not _open(made, draft),
    )


def _check_page(record: Record, made: OwnerForm, draft: Draft, form: Form) -> str:
    form.submission = draft.key
    answers: list[dict[str, Any]] = [
        {"question": each, "answer": draft.answers.get(each.name, ""), "pictures": each.shape == "pictures"}
        for each in made.questions
    ]
    return render_template(
        "own_check.html", record=record, made=made, form=form, answers=answers, photos=list(draft.photos)
    )
