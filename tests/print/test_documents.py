"""Plaque, poster and labels: what they say, their sizes, their fonts, and where their QR codes lead."""

from __future__ import annotations

import io
import re
import threading
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest
import zxingcpp
from PIL import Image

from app.print import labels, plaque, poster, typesetting
from app.print.typesetting import FontsMissing, PrinterBusy, TypesettingFailed, typeset
from app.web.blueprint import STATIC
from app.web.place import PLACES
from registry.labels import Coded, NoLabels
from registry.points import PublicPoint
from subsidy.live import LiveStage, LiveState
from tests.print import pdf as read

NOW = datetime(2026, 6, 16, 6, 30, 5, 123456, tzinfo=UTC)
PLACE = PLACES["330105"]
SITE = "https://mapai.example"
POINT = PublicPoint(
    dealer_id=1,
    point_no="0037",
    name="运河电动自行车店（拱宸桥店）",
    credit_code="91330105MA2B3C4D5E",
    sub_district="拱宸桥街道",
    address="拱宸桥街道丽水路 118 号",
    phone="0571-88123456",
    opening_hours="每天 08:30-18:00",
    state="licensed",
    licensed=True,
    trade_in_on=True,
    open_now=True,
    open_until="18:00",
    under_way_today=2,
    licensed_at=NOW,
    licensed_until=date(2027, 6, 14),
    as_of=NOW,
)
HOSTILE = '#set page(width: 1mm)[*$ "x" $*] `raw` // \\ @a <b> #panic()'


def stage(number: int, amount_fen: int, phase: str) -> LiveStage:
    """One stage of the programme: places for a month, from the 15th on."""
    money = dict.fromkeys(
        (
            *("budget_fen", "total_fen", "free_fen", "held", "held_fen", "awarded"),
            *("committed_fen", "paid_fen", "carried_in_fen", "moved_fen"),
        ),
        0,
    )
    return LiveStage(
        number=number,
        amount_fen=amount_fen,
        places=2_560,
        places_left=900,
        opens_at=datetime(2026, 5 + number, 14, 16, tzinfo=UTC),
        closes_at=datetime(2026, 6 + number, 14, 16, tzinfo=UTC),
        settles_at=datetime(2026, 6 + number, 15, 16, tzinfo=UTC),
        phase=phase,
        **money,
    )


def live(*phases: str, ended: bool = False) -> LiveState:
    """The programme with a stage for each phase: 300 yuan, then 100 less each time."""
    stages = tuple(stage(number, 40_000 - 10_000 * number, phase) for number, phase in enumerate(phases, start=1))
    return LiveState(
        programme_code="GS-2026",
        name_zh="2026 年电动自行车淘汰置换补贴",
        name_en="E-bike trade-in 2026",
        as_of=NOW,
        paused=False,
        ended=ended,
        stages=stages,
        current=next((each.number for each in stages if each.phase == "open"), None),
        next_opening=next((each.number for each in stages if each.phase == "future"), None),
        claims=0,
        waiting=0,
        held=0,
    )


THREE = live("open", "future", "future")


def plaque_of(point: PublicPoint = POINT) -> dict[str, Any]:
    return plaque.plaque_data(point=point, place=PLACE, public_url=SITE)


def poster_of(point: PublicPoint = POINT, programme: LiveState = THREE) -> dict[str, Any]:
    return poster.poster_data(point=point, live=programme, place=PLACE, public_url=SITE)


def coded(number: int) -> list[Coded]:
    """Bikes in stock, each with codes of its own; every other battery code is as long as codes get."""
    return [
        Coded(
            registration_code=f"7K2M94{index:04d}",
            vehicle_code=f"10852262600{index:04d}",
            battery_code=f"LI4826{index:04d}" if index % 2 else f"PB4826{index:034d}",
            battery_registration_code=f"B7H3QX{index:04d}",
        )
        for index in range(number)
    ]


def qr_codes(template: str, data: dict[str, Any], *, ppi: int = 150) -> list[str]:
    """What a scanner reads from the first page, from top to bottom and left to right."""
    page = Image.open(io.BytesIO(typeset(template, data, now=NOW, form="png", ppi=ppi)[0])).convert("L")
    found = zxingcpp.read_barcodes(page, formats=zxingcpp.BarcodeFormat.QRCode)
    found.sort(key=lambda code: (round(code.position.top_left.y / 40), code.position.top_left.x))
    return [code.text for code in found]


def made(template: str, data: dict[str, Any]) -> bytes:
    return typeset(template, data, now=NOW)[0]


@pytest.mark.parametrize(
    ("pdf", "media", "trim"),
    [
        (lambda: made(plaque.TEMPLATE, plaque_of()), (0, 0, 303, 216), (3, 3, 297, 210)),
        (lambda: made(poster.TEMPLATE, poster_of()), (0, 0, 303, 426), (3, 3, 297, 420)),
        (lambda: made(labels.TEMPLATE, labels.labels_data(coded=coded(24), kind="bike")), (0, 0, 210, 297), None),
    ],
    ids=["plaque", "poster", "labels"],
)
def test_sizes_are_exact_and_fonts_are_embedded_in_part(pdf, media, trim):
    made_pdf = pdf()
    assert made_pdf.startswith(b"%PDF-1.7")
    assert read.boxes(made_pdf, "MediaBox") == [media]
    assert read.boxes(made_pdf, "TrimBox") == ([trim] if trim else [])
    # Six capitals and a plus: a subset. A whole font would be ten megabytes.
    assert {re.sub(r"^[A-Z]{6}\+", "", name) for name in read.fonts(made_pdf)} == {
        "NotoSansSC-Regular",
        "NotoSansSC-Bold",
    }
    assert all(re.match(r"[A-Z]{6}\+", name) for name in read.fonts(made_pdf))
    assert len(made_pdf) < 200_000


class TestPlaque:
    def test_it_says_who_and_until_when(self):
        words = read.text(made(plaque.TEMPLATE, plaque_of()))
        for expected in ("0037", POINT.name, POINT.credit_code, "2027 年 6 月 14 日", PLACE.bureau):
            assert expected in words

    def test_the_qr_leads_to_the_points_own_page(self):
        assert qr_codes(plaque.TEMPLATE, plaque_of()) == ["https://mapai.example/points/0037"]

    @pytest.mark.parametrize(
        "name", [HOSTILE, "很" * 80, "a" * 80, "𠮷野家 ☃"], ids=["hostile", "long", "wide", "rare"]
    )
    def test_any_name_is_printed_as_it_is_written_on_one_page(self, name):
        pdf = made(plaque.TEMPLATE, plaque_of(replace(POINT, name=name)))
        assert read.boxes(pdf, "TrimBox") == [(3, 3, 297, 210)]
        if name.isascii() or name == "很" * 80:
            assert name in read.text(pdf)
        assert qr_codes(plaque.TEMPLATE, plaque_of(replace(POINT, name=name))) == ["https://mapai.example/points/0037"]

    def test_only_a_licensed_point_gets_one(self):
        for changed in ({"state": "suspended", "licensed": False}, {"licensed": False}):
            with pytest.raises(plaque.PlaqueNotDue):
                plaque.plaque_pdf(point=replace(POINT, **changed), place=PLACE, public_url=SITE)

    def test_the_same_data_gives_the_same_bytes(self):
        pdfs = {plaque.plaque_pdf(point=POINT, place=PLACE, public_url=SITE) for _ in range(2)}
        assert len(pdfs) == 1


class TestPoster:
    def test_it_announces_the_stages_that_can_still_be_had(self):
        words = read.text(made(poster.TEMPLATE, poster_of(programme=live("settled", "open", "future"))))
        assert "第一阶段" not in words
        for expected in ("第二阶段", "正在进行", "200元", "7 月 15 日—8 月 14 日", "第三阶段", "100元", "2,560 个名额"):
            assert expected in words.replace("200 元", "200元").replace("100 元", "100元")

    def test_it_names_the_point_and_the_five_steps(self):
        words = read.text(made(poster.TEMPLATE, poster_of()))
        for expected in (POINT.name, POINT.address, POINT.phone, POINT.opening_hours, PLACE.bureau):
            assert expected in words
        assert [title for title, _ in poster.STEPS if title not in words] == []

    @pytest.mark.parametrize("phases", [("open",), ("future",) * 2, ("open", "future", "future", "future", "future")])
    def test_the_qr_leads_to_the_check_however_many_stages_there_are(self, phases):
        data = poster_of(programme=live(*phases[:3]) if len(phases) < 4 else five_stages())
        assert len(data["stages"]) == min(len(phases), 4)
        assert qr_codes(poster.TEMPLATE, data, ppi=100) == ["https://mapai.example/check"]

    def test_hostile_words_stay_words(self):
        point = replace(POINT, name=HOSTILE, address="#let x = 1", opening_hours="$ x $")
        words = read.text(made(poster.TEMPLATE, poster_of(point)))
        assert HOSTILE in words
        assert "#let x = 1" in words

    def test_nothing_is_announced_when_nothing_can_be_had(self):
        for programme in (live("settled", "closed"), live("open", ended=True)):
            with pytest.raises(poster.NothingToAnnounce):
                poster.poster_pdf(point=POINT, live=programme, place=PLACE, public_url=SITE)


def five_stages() -> LiveState:
    """More stages than a poster has room for."""
    return replace(THREE, stages=tuple(replace(THREE.stages[0], number=number) for number in range(1, 6)))


class TestLabels:
    def test_every_label_carries_its_codes_and_a_qr_that_scans(self):
        stock = coded(24)
        data = labels.labels_data(coded=stock, kind="bike")
        assert qr_codes(labels.TEMPLATE, data) == [each.registration_code for each in stock]
        words = read.text(made(labels.TEMPLATE, data))
        for each in stock:
            for code in (each.registration_code, each.vehicle_code, each.battery_code, each.battery_registration_code):
                assert code in words

    def test_a_battery_has_a_label_of_its_own(self):
        without = replace(coded(1)[0], battery_registration_code=None)
        data = labels.labels_data(coded=[*coded(2), without], kind="battery")
        assert qr_codes(labels.TEMPLATE, data) == ["B7H3QX0000", "B7H3QX0001"]
        assert "7K2M940001" in read.text(made(labels.TEMPLATE, data))
        assert "电池赋码" not in str(labels.labels_data(coded=[without], kind="bike"))
        with pytest.raises(NoLabels):
            labels.labels_data(coded=[without], kind="battery")

    @pytest.mark.parametrize(("number", "sheets"), [(1, 1), (24, 1), (25, 2), (500, 21)])
    def test_24_stand_on_a_sheet(self, number, sheets):
        pdf = labels.labels_pdf(coded=coded(number), kind="bike", now=NOW)
        assert read.boxes(pdf, "MediaBox") == [(0, 0, 210, 297)] * sheets


class TestTypesetting:
    def test_without_fonts_it_says_what_to_do(self, monkeypatch, tmp_path):
        monkeypatch.setattr("app.build_assets.FONTS", tmp_path)
        monkeypatch.setattr("app.build_assets.WANTED", {tmp_path: {"NotoSansSC-Regular.ttf": ""}})
        with pytest.raises(FontsMissing) as refused:
            made(plaque.TEMPLATE, plaque_of())
        assert "mapai assets" in refused.value.help_zh

    def test_when_several_wait_the_next_is_sent_away_and_later_served(self):
        seats = 1 + typesetting.WAITING_AT_MOST
        for _ in range(seats):
            assert typesetting._seats.acquire(blocking=False)
        try:
            with pytest.raises(PrinterBusy):
                made(plaque.TEMPLATE, plaque_of())
        finally:
            typesetting._seats.release(seats)
        assert made(plaque.TEMPLATE, plaque_of())

    def test_one_document_at_a_time(self):
        threads = 1 + typesetting.WAITING_AT_MOST
        start, inside, most, refused = threading.Barrier(threads), [], [], []

        def work() -> None:
            start.wait(10)
            for _ in range(50):
                try:
                    with typesetting._one_at_a_time():
                        inside.append(1)
                        most.append(len(inside))
                        inside.pop()
                except PrinterBusy:
                    refused.append(1)

        running = [threading.Thread(target=work) for _ in range(threads)]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join(30)
        assert set(most) == {1}
        assert refused == []
        assert len(most) == 50 * threads

    def test_a_failed_document_frees_its_turn(self):
        for _ in range(2 + typesetting.WAITING_AT_MOST):
            with pytest.raises(TypesettingFailed, match="dictionary does not contain key"):
                typeset(plaque.TEMPLATE, {}, now=NOW)
        assert made(plaque.TEMPLATE, plaque_of())

    def test_a_document_that_takes_too_long_is_stopped(self, monkeypatch):
        monkeypatch.setattr("app.print.typesetting.LONGEST_S", 0.001)
        with pytest.raises(PrinterBusy):
            made(plaque.TEMPLATE, plaque_of())

    def test_paper_has_the_colours_of_the_pages(self):
        tokens = (STATIC / "tokens.css").read_text(encoding="utf-8").split("@media")[0]
        on_screen = dict(re.findall(r"--([a-z0-9-]+): (#[0-9a-f]{6})", tokens))
        look = (typesetting.HERE / "look.typ").read_text(encoding="utf-8")
        on_paper = dict(re.findall(r'#let ([a-z0-9-]+) = rgb\("(#[0-9a-f]{6})"\)', look))
        assert len(on_paper) > 10
        assert {name: on_screen[name.removesuffix("-colour")] for name in on_paper} == on_paper
