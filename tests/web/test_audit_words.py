"""Every deed the source writes into the audit has its words, in both languages; no words stand for none."""

from __future__ import annotations

import re

from app.web.claim_evidence import DEEDS
from app.web.staff_words import AUDITED
from registry.dealers import DEALER
from registry.plates import PLATE_CODE
from registry.staff_requests import OUTCOMES
from registry.transfers import TRANSFER
from registry.transitions import Transitions
from subsidy import corrections
from subsidy.appeals import APPEAL
from subsidy.events import EventKind
from subsidy.programme_change import CHANGE
from tests.house_rules.recorded import recorded
from tests.web.scene import Scene

WORDS = {**AUDITED, **DEEDS}
HAN = re.compile(r"[\u4e00-\u9fff]")


def steps(noun: Transitions) -> set[str]:
    return {step for edges in noun.edges.values() for step in edges}


# What stands in the place of the braces, from the domain's own tables.
MEMBERS: dict[str, set[str]] = {
    "appeal.{}": {APPEAL.edges["filed"]["uphold"], APPEAL.edges["filed"]["reject"]},
    "claim.{}": set(corrections.DEEDS.values()),
    "dealer.{}": steps(DEALER),
    "filing.transfer_{}": set(TRANSFER.edges["opened"].values()),
    "payout_end_{}": {"approved", "refused", "withdrawn"},
    "plate_code.{}": steps(PLATE_CODE),
    "programme_change.{}": set(CHANGE.edges),
    "queue.{}": {kind.value for kind in EventKind if kind is not EventKind.CLAIM},
    "return.{}": {"returned", "demanded", "repaid"},
    "staff.change_{}": set(OUTCOMES),
}
FOUND = recorded("registry", "subsidy", "app")


def test_every_deed_can_be_read() -> None:
    assert FOUND.unread == set()
    assert FOUND.families == set(MEMBERS), "say in MEMBERS what a family's members are"
    assert {"payout_settled", "trade_in.complete", "unmasked", "demo.seeded", "earlier.imported"} <= FOUND.names


def test_every_deed_has_its_words_and_no_words_stand_for_none() -> None:
    members = {family.format(each) for family, all_of_it in MEMBERS.items() for each in all_of_it}
    assert set(WORDS) == FOUND.names | members


def test_the_words_are_there_in_both_languages(scene: Scene) -> None:
    with scene.app().test_request_context("/", headers={"Cookie": "mapai_look=lang:en"}):
        english = {deed: str(words) for deed, words in WORDS.items()}
    with scene.app().test_request_context("/"):
        chinese = {deed: str(words) for deed, words in WORDS.items()}
    assert [deed for deed, words in chinese.items() if not HAN.search(words)] == []
    assert [deed for deed, words in english.items() if HAN.search(words) or not words] == []
