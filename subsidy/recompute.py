"""Decides every claim of a published log again, from its entries alone, and compares: `python recompute.py LOG`.

LOG is a file, or a folder of *.json: pages of GET /api/log/PROGRAMME/entries and signed heads (…/head), whose roots are
compared with the tree's. Prints agreement, or the first difference and exits 1. It proves who was paid what by order
and rules, not that a claim was rightly called eligible or stands where it should: for that, owners hold receipts."""
# mypy: ignore-errors

import json
import sys
from collections import Counter
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from types import SimpleNamespace as Record


class Queue:  # where the law of the queue leaves it after each event; beside the code stand the law's paragraphs
    def __init__(self):
        self.stages, self.claims, self.line, self.live = [], {}, {}, Counter()
        self.rules, self.reserve, self.paused, self.ended = {"reserve_fen": 0}, 0, False, False

    def take(self, leaf):
        self.told, self.freed, kind, claim = {}, False, leaf["kind"], self.claims.get(leaf.get("position"))
        if kind == "claim":
            claim, last = Record(**leaf, over=False, owed=None, would=None, stage=None), len(self.stages)
            outside = (claim.stage_of_e is None and claim.after_stage in (0, last)) or claim.late_windows_over == last
            full = self.live[claim.token] >= self.rules["per_person_limit"]  # (11)
            claim.refused = not claim.eligible or outside or full or self.stages[-1].phase == "settling"  # (3, 4)
            self.live[claim.token] += not claim.refused
            self.claims[claim.position] = claim
            self.say(claim, "waiting")
            self.decide(claim)
            return self.told
        if kind == "version":
            for n, new in enumerate(leaf["rules"]["stages"]):
                if n == len(self.stages):
                    self.stages += [Record(number=n + 1, places=0, money=0, rest=0, reach=0, phase="", rules=Counter())]
                stage, amount_fen = self.stages[n], new["amount_fen"]
                stage.places += new["places"] - stage.rules["places"] + stage.rest // amount_fen
                stage.money += new["budget_fen"] - stage.rules["budget_fen"]
                stage.rules, stage.amount_fen, stage.rest = new, amount_fen, stage.rest % amount_fen
            self.reserve += leaf["rules"]["reserve_fen"] - self.rules["reserve_fen"]
            self.rules, self.freed = leaf["rules"], True
            for position, *facts in leaf["reclassified"]:  # a moved boundary, and claims whose instants are sealed
                self.claims[position].after_stage, self.claims[position].late_windows_over = facts
        elif kind in ("opening", "closing", "settling"):
            stage, keeps = self.stages[leaf["stage"] - 1], kind != "settling"
            stage.phase, stage.places, stage.rest = kind, stage.places * keeps, stage.rest * keeps
        elif kind in ("hold", "corrected", "release"):  # (9), the limit checked again
            claim.fault, full = kind == "hold", self.live[claim.token] > self.rules["per_person_limit"]
            self.say(claim, "waiting" if claim.status == "waiting" else "held" if claim.fault else "award", claim.fen)
            if leaf.get("refused") or (full and not claim.fault and not claim.over and not claim.refused):
                self.give_up(claim)
        elif kind == "overrule":  # (10): what its position would have had
            reached = (stage.number for stage in self.stages if stage.reach >= claim.position)
            claim.owed, claim.over, claim.fault = claim.would or next(reached, None), True, False
            self.freed, self.live[claim.token] = True, self.live[claim.token] + 1
            self.say(claim, "waiting")
            self.line = {c.position: c for c in sorted(self.line.values(), key=lambda c: (not c.owed, c.position))}
        elif kind in ("correction_expired", "return", "forfeiture"):
            self.give_up(claim)
        self.paused, self.ended = kind == "pause" or (self.paused and kind != "resume"), self.ended or kind == "end"
        self.serve()
        for claim in list(self.line.values()) if self.ended else ():  # (6)
            self.give_up(claim)
        return self.told

    def say(self, claim, status, fen=0):
        claim.status, claim.fen, self.told[claim.position] = status, fen, (status, fen)
        self.line.pop(claim.position, None) if status != "waiting" else self.line.update({claim.position: claim})

    def able(self, stage):  # (5)
        return stage.phase and stage.places > 0 and stage.money >= stage.amount_fen

    def decide(self, claim):  # (4, 5, 12): its own stage pays, or a later one that has opened; else it waits
        first = max(claim.late_windows_over, min(claim.after_stage, len(self.stages) - 1))
        payer = next(filter(self.able, self.stages[first:]), None)
        if claim.refused and not self.paused:
            claim.would, claim.refused = payer and payer.number, False
            self.say(claim, "decline")
        elif payer and not self.paused:
            payer.places, payer.money = payer.places - 1, payer.money - payer.amount_fen
            if not claim.owed and (payer.phase == "opening" or payer is self.stages[-1]):
                payer.reach = max(payer.reach, claim.position)  # how far the line has come, for (10)
            claim.purse = claim.stage = payer.number
            self.say(claim, "held" if claim.fault else "award", payer.amount_fen)

    def give_up(self, claim):  # (8): its money is free
        fen, waited = claim.fen, claim.status == "waiting"
        self.live[claim.token] -= not claim.refused
        claim.would, claim.refused = claim.owed if waited else claim.stage, False
        self.say(claim, "decline")
        if not waited:
            self.freed, self.reserve = True, self.reserve + (0 if claim.purse else fen)
            self.carry(self.stages[claim.purse - 1], fen if claim.purse else 0)

    def carry(self, stage, fen):  # (7): as money only, places by whole amounts
        heir = next((s for s in self.stages[stage.number - 1 :] if s.phase in ("", "opening")), self.stages[-1])
        gained, heir.rest = divmod(heir.rest + fen, heir.amount_fen)
        heir.money, heir.places = heir.money + fen, heir.places + gained

    def serve(self):
        for claim in list(self.line.values()) if self.freed else ():  # (10): those whom the reserve owes
            if not claim.owed or self.stages[claim.owed - 1].amount_fen > self.reserve:
                break
            claim.purse, claim.stage, fen = 0, claim.owed, self.stages[claim.owed - 1].amount_fen
            self.reserve -= fen
            self.say(claim, "award", fen)
        for stage in self.stages[: 0 if self.paused else -1]:
            if stage.phase == "settling" and stage.money:
                fen, stage.places, stage.rest, stage.money = stage.money, 0, 0, 0
                self.carry(stage, fen)
        for claim in list(self.line.values()):  # (6): the line, in its order
            self.decide(claim)
        for stage in () if self.paused else self.stages:
            if self.able(stage) and (stage.phase == "opening" or stage is self.stages[-1]):
                stage.reach = len(self.claims)
        if self.stages[-1].phase == "settling" and not self.paused:  # nobody can claim it any more (7)
            self.stages[-1].money = self.stages[-1].places = self.stages[-1].rest = 0

    def root(self, entries):  # of the tree (RFC 9162) whose heads are signed
        peaks = []
        for size, entry in enumerate(entries, start=1):
            text = json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
            peaks.append(sha256(b"\0" + text.encode()).digest())
            for _ in range((size & -size).bit_length() - 1 if size < len(entries) else len(peaks) - 1):
                peaks[-2:] = [sha256(b"\1" + peaks[-2] + peaks[-1]).digest()]
        return peaks[0].hex()

    def difference(self, entries, heads=()):
        for number, (event_no, group) in enumerate(groupby(entries, key=lambda leaf: leaf["event_no"]), start=1):
            leaves = list(group)
            if event_no != number or (leaves[0]["kind"] == "claim" and leaves[0]["position"] != len(self.claims) + 1):
                return f"event {number} or its position is missing"
            told = sorted((position, *outcome) for position, outcome in self.take(leaves[0]).items())
            said = sorted((one["position"], one["outcome"], one["amount_fen"]) for one in leaves if "outcome" in one)
            if told != said:
                return f"event {number}: published {said}, recomputed {told}"
        wrong = [head["size"] for head in heads if self.root(entries[: head["size"]]) != head["root"]]
        return f"the first {wrong[0]} leaves have another root than their head" if wrong else None


if __name__ == "__main__":
    place = Path(sys.argv[1]) if len(sys.argv) == 2 and Path(sys.argv[1]).exists() else sys.exit(__doc__)
    pages = [json.loads(file.read_text("utf-8")) for file in (place.glob("*.json") if place.is_dir() else [place])]
    found = {page["start"] + n: leaf for page in pages for n, leaf in enumerate(page.get("entries", ()))}
    broken = Queue().difference([found[n] for n in range(len(found))], [page for page in pages if "root" in page])
    sys.stdout.write(f"✗ {broken}\n" if broken else f"{len(found)} leaves, every claim decided again: all agree\n")
    sys.exit(bool(broken))
