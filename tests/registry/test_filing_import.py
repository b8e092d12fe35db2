"""The import of a filing list on a real database: what goes in, what is refused; a second time adds nothing."""

import tracemalloc
from collections.abc import Iterator
from datetime import date

import psycopg
import pytest
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session

from app.config import Settings
from app.db import psycopg_conninfo
from app.district.filings import generate_filings
from registry import filing_import
from registry.filing_findings import Finding, ImportReport
from registry.filing_import import import_filings
from registry.filing_rows import FilingRow, RowChecker
from registry.people import id_index
from tests.registry.line import make_district

TODAY = date(2026, 6, 1)
CHEN = FilingRow(
    2, "B382617", "陈建英", "330105199003070018", "13800138000", "2021-03-18", "凌风", "LX0001", "祥符街道"
)


@pytest.fixture
def connection(settings: Settings) -> Iterator[psycopg.Connection]:
    with psycopg.connect(psycopg_conninfo(settings)) as connection:
        yield connection


def bring(connection: psycopg.Connection, settings: Settings, *rows: FilingRow, **options: object) -> ImportReport:
    numbered = [row._replace(line=number) for number, row in enumerate(rows, start=2)]
    return import_filings(
        connection=connection,
        keyring=settings.keyring,
        rows=numbered,
        today=TODAY,
        **options,  # type: ignore[arg-type]
    )


def said(report: ImportReport) -> list[tuple[int, str, str, str]]:
    return [(each.line, each.kind, each.header, each.refusal.code) for each in report.findings]


def counts(connection: psycopg.Connection) -> tuple[int, int]:
    row = connection.execute("SELECT (SELECT count(*) FROM filed_bike), (SELECT count(*) FROM person)").fetchone()
    connection.rollback()
    assert row is not None
    return row


def test_a_row_is_stored_sealed_and_found_again(connection: psycopg.Connection, settings: Settings) -> None:
    report = bring(connection, settings, CHEN)

    assert (report.read, report.stored, report.new_people, report.findings) == (1, 1, 1, [])
    keyring = settings.keyring
    row = connection.execute(
        "SELECT id_sealed, name_sealed, phone_sealed, filed_on, brand, frame_no, sub_district, state"
        " FROM filed_bike f JOIN person p ON p.id = f.owner_id WHERE plate_no = 'B382617' AND id_index = %s",
        (id_index(keyring=keyring, id_no=CHEN.id_no),),
    ).fetchone()
    assert row is not None
    assert keyring.open(row[0], field="id_no") == CHEN.id_no
    assert keyring.open(row[1], field="name") == "陈建英"
    assert keyring.open(row[2], field="phone") == "13800138000"
    assert row[3:] == (date(2021, 3, 18), "凌风", "LX0001", "祥符街道", "filed")
    assert "陈建英".encode() not in row[1]


def test_good_rows_go_in_beside_bad_ones(connection: psycopg.Connection, settings: Settings) -> None:
    report = bring(
        connection,
        settings,
        CHEN._replace(id_no="330105199003070013"),
        CHEN,
        CHEN._replace(plate_no="B38261", phone="12", owner_name="陈1"),
    )

    assert (report.read, report.stored, report.refused) == (3, 1, 2)
    assert said(report) == [
        (2, "refused", "证件号码", "id_number_invalid"),
        (4, "refused", "号牌号码", "plate_invalid"),
        (4, "refused", "车主姓名", "name_invalid"),
        (4, "refused", "手机号码", "mobile_invalid"),
    ]
    assert report.counts["id_number_invalid"] == 1
    assert all(each.refusal.message_zh and each.refusal.help_en for each in report.findings)


def test_the_same_list_again_changes_nothing(connection: psycopg.Connection, settings: Settings) -> None:
    rows = list(generate_filings(seed=3, count=2_000))
    first = bring(connection, settings, *rows)
    before = counts(connection)
    again = bring(connection, settings, *rows)

    assert first.stored == 2_000
    assert (again.stored, again.unchanged, again.differing, again.refused, again.new_people) == (0, 2_000, 0, 0, 0)
    assert again.findings == []
    assert counts(connection) == before == (2_000, first.new_people)
    assert first.new_people < 2_000  # some own two


def history(connection: psycopg.Connection) -> list[tuple[str, str, str, str]]:
    rows = connection.execute("SELECT actor, field, old, new FROM filing_change ORDER BY id").fetchall()
    connection.rollback()
    return rows


def test_a_corrected_row_updates_the_filing_and_keeps_its_history(
    connection: psycopg.Connection, settings: Settings
) -> None:
    bring(connection, settings, CHEN)
    corrected = CHEN._replace(frame_no="LX0002", filed_on="2021-03-19")
    report = bring(connection, settings, corrected, actor="account:7")

    assert said(report) == [
        (2, "corrected", "备案日期", "filing_corrected"),
        (2, "corrected", "车架号", "filing_corrected"),
    ]
    assert (report.stored, report.unchanged, report.corrected, report.differing) == (0, 0, 1, 0)
    row = connection.execute("SELECT frame_no, filed_on, brand FROM filed_bike").fetchone()
    assert row == ("LX0002", date(2021, 3, 19), "凌风")
    changes = [
        ("account:7", "filed_on", "2021-03-18", "2021-03-19"),
        ("account:7", "frame_no", "LX0001", "LX0002"),
    ]
    assert sorted(history(connection)) == changes
    audited = connection.execute(
        "SELECT actor, subject, detail FROM audit_entry WHERE action = 'filing.corrected'"
    ).fetchall()
    assert audited == [
        (
            "account:7",
            "filing:B382617",
            {"filed_on": ["2021-03-18", "2021-03-19"], "frame_no": ["LX0001", "LX0002"]},
        )
    ]
    connection.rollback()

    again = bring(connection, settings, corrected, actor="account:7")
    assert (again.unchanged, again.corrected, again.findings) == (1, 0, [])
    assert sorted(history(connection)) == changes


def test_the_history_cannot_be_rewritten(connection: psycopg.Connection, settings: Settings) -> None:
    bring(connection, settings, CHEN)
    bring(connection, settings, CHEN._replace(brand="云雀"))
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("UPDATE filing_change SET old = new")
    connection.rollback()
    with psycopg.connect(make_url(settings.owner_url).set(drivername="postgresql").render_as_string(False)) as owner:
        owner.execute("SELECT set_config('search_path', %s, false)", (settings.schema,))
        with pytest.raises(psycopg.errors.RestrictViolation):
            owner.execute("DELETE FROM filing_change")


@pytest.mark.parametrize(
    "beside",
    [
        "UPDATE filed_bike SET state = 'received'",
        """INSERT INTO trade_in (reference, dealer_id, filed_bike_id, owner_id, opened_at)
           SELECT 'GS-AAAA-22', dealer.id, filed_bike.id, owner_id, now() FROM filed_bike, dealer""",
    ],
)
def test_a_bike_on_its_way_is_not_corrected(
    connection: psycopg.Connection, settings: Settings, session: Session, beside: str
) -> None:
    make_district(session, settings.keyring).dealer()
    session.commit()
    bring(connection, settings, CHEN)
    connection.execute(beside)
    connection.commit()
    report = bring(connection, settings, CHEN._replace(brand="云雀"))

    assert said(report) == [(2, "differs", "品牌", "filing_in_use")]
    assert (report.corrected, report.differing) == (0, 1)
    assert history(connection) == []


def test_another_owner_for_a_filed_plate_leaves_no_stranger_behind(
    connection: psycopg.Connection, settings: Settings
) -> None:
    bring(connection, settings, CHEN)
    report = bring(connection, settings, CHEN._replace(id_no="330105195810270261", owner_name="王建"))

    assert said(report) == [(2, "differs", "证件号码", "filing_needs_transfer")]
    assert "过户" in report.findings[0].refusal.help_zh
    assert report.new_people == 0
    assert counts(connection) == (1, 1)


def test_one_person_with_two_bikes_is_one_person(connection: psycopg.Connection, settings: Settings) -> None:
    report = bring(connection, settings, CHEN, CHEN._replace(plate_no="B382618", frame_no="LX0002"))

    assert (report.stored, report.new_people) == (2, 1)
    assert counts(connection) == (2, 1)


@pytest.mark.parametrize("together", [True, False])
def test_a_name_that_contradicts_the_id_number_is_refused(
    connection: psycopg.Connection, settings: Settings, together: bool
) -> None:
    other = CHEN._replace(plate_no="B382618", frame_no="LX0002", owner_name="王建")
    if together:
        report = bring(connection, settings, CHEN, other)
    else:
        bring(connection, settings, CHEN)
        report = bring(connection, settings, other)

    assert [(kind, header, code) for _, kind, header, code in said(report)] == [
        ("refused", "车主姓名", "owner_name_differs")
    ]
    assert counts(connection) == (1, 1)


@pytest.mark.parametrize("together", [True, False])
def test_another_phone_is_noted_and_the_first_kept(
    connection: psycopg.Connection, settings: Settings, together: bool
) -> None:
    other = CHEN._replace(plate_no="B382618", frame_no="LX0002", phone="13900139000")
    if together:
        report = bring(connection, settings, CHEN, other)
    else:
        bring(connection, settings, CHEN)
        report = bring(connection, settings, other)

    assert [(kind, code) for _, kind, _, code in said(report)] == [("noted", "phone_kept")]
    assert counts(connection) == (2, 1)
    row = connection.execute("SELECT phone_sealed FROM person").fetchone()
    assert row is not None
    assert settings.keyring.open(row[0], field="phone") == "13800138000"


def test_a_plate_twice_in_one_list(connection: psycopg.Connection, settings: Settings) -> None:
    report = bring(connection, settings, CHEN, CHEN, CHEN._replace(brand="云雀"))

    assert (report.stored, report.unchanged, report.differing) == (1, 1, 1)
    assert said(report) == [(4, "differs", "品牌", "plate_twice_in_list")]


def test_two_rows_that_contradict_each_other_settle_on_the_first(
    connection: psycopg.Connection, settings: Settings
) -> None:
    bring(connection, settings, CHEN._replace(brand="飞鸿"))
    rows = (CHEN, CHEN._replace(brand="云雀"))
    first, second = bring(connection, settings, *rows), bring(connection, settings, *rows)

    assert (first.corrected, first.differing) == (1, 1)
    assert (second.unchanged, second.corrected, second.differing) == (1, 0, 1)
    assert said(second) == [(3, "differs", "品牌", "plate_twice_in_list")]
    assert history(connection) == [("import", "brand", "飞鸿", "凌风")]


def test_a_person_known_from_elsewhere_is_not_doubled(connection: psycopg.Connection, settings: Settings) -> None:
    keyring = settings.keyring
    connection.execute(
        "INSERT INTO person (id_index, id_sealed, name_sealed) VALUES (%s, %s, %s)",
        (
            id_index(keyring=keyring, id_no=CHEN.id_no),
            keyring.seal(CHEN.id_no, field="id_no"),
            keyring.seal("陈建英", field="name"),
        ),
    )
    connection.commit()
    report = bring(connection, settings, CHEN)

    assert (report.stored, report.new_people) == (1, 0)
    assert counts(connection) == (1, 1)


def test_a_dry_run_reports_the_same_and_stores_nothing(connection: psycopg.Connection, settings: Settings) -> None:
    rows = [CHEN, CHEN._replace(plate_no="B1"), CHEN._replace(brand="云雀")]
    dry = bring(connection, settings, *rows, dry_run=True)

    assert counts(connection) == (0, 0)
    wet = bring(connection, settings, *rows)
    assert (dry.read, dry.stored, dry.differing, dry.refused) == (wet.read, wet.stored, wet.differing, wet.refused)
    assert said(dry) == said(wet)
    assert counts(connection) == (1, 1)


def test_a_list_that_breaks_off_keeps_its_whole_blocks(
    connection: psycopg.Connection, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filing_import, "BLOCK_ROWS", 100)

    def broken() -> Iterator[FilingRow]:
        for number, row in enumerate(generate_filings(seed=1, count=1_000)):
            if number == 555:
                raise OSError("the disk was pulled out")
            yield row

    seen: list[int] = []
    with pytest.raises(OSError, match="pulled out"):
        import_filings(
            connection=connection, keyring=settings.keyring, rows=broken(), today=TODAY, progress=seen.append
        )
    assert seen == [100, 200, 300, 400, 500]
    assert counts(connection)[0] == 500


def test_two_imports_at_once_store_each_filing_once(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    from concurrent.futures import ThreadPoolExecutor

    monkeypatch.setattr(filing_import, "BLOCK_ROWS", 200)
    rows = list(generate_filings(seed=1, count=2_000))

    def one(_: int) -> ImportReport:
        with psycopg.connect(psycopg_conninfo(settings)) as connection:
            return bring(connection, settings, *rows)

    with ThreadPoolExecutor(max_workers=2) as pool:
        reports = list(pool.map(one, range(2)))
    assert sum(report.stored for report in reports) == 2_000
    assert sum(report.unchanged for report in reports) == 2_000
    with psycopg.connect(psycopg_conninfo(settings)) as connection:
        assert counts(connection) == (2_000, sum(report.new_people for report in reports))


def test_findings_are_all_told_and_a_thousand_kept(connection: psycopg.Connection, settings: Settings) -> None:
    told: list[Finding] = []
    report = bring(connection, settings, *[CHEN._replace(plate_no="")] * 1_200, on_finding=told.append)

    assert report.counts == {"cell_empty": 1_200}
    assert len(report.findings) == 1_000
    assert len(told) == 1_200


def test_memory_stays_flat(connection: psycopg.Connection, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filing_import, "BLOCK_ROWS", 200)

    def highest(count: int, seed: int) -> int:
        tracemalloc.start()
        try:
            import_filings(
                connection=connection,
                keyring=settings.keyring,
                rows=generate_filings(seed=seed, count=count),
                today=TODAY,
            )
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    checker = RowChecker(today=TODAY)
    for row in generate_filings(seed=40, count=6_000):  # the caches of days and words fill up
        checker.check(row)
    highest(1_000, 1)
    small, large = highest(1_200, 20), highest(6_000, 40)
    assert large < small * 1.5, f"{large} bytes for 6,000 rows, {small} for 1,200"
