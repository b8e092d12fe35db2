"""What the public log gives out, fetched as anybody could: no sign-in, no key."""

from __future__ import annotations

from pathlib import Path

from app.scenario.calls import ScenarioFailed, Server

AT_ONCE = 1_000


def published_events(web: Server, *, programme: str) -> int:
    """Return the number of the last event that stands under a public head, 0 before the first head."""
    head = web.get(f"/api/log/{programme}/head")
    if head.status != 200:
        return 0
    size = head.data["size"]
    reply = web.get(f"/api/log/{programme}/entries?start={size - 1}&end={size}")
    return int(reply.data["entries"][-1]["event_no"]) if reply.status == 200 else 0


def fetch_log(web: Server, *, programme: str, folder: Path) -> int:
    """Write the pages of entries and the newest head into ``folder``; return how many entries there are."""
    head = web.get(f"/api/log/{programme}/head")
    if head.status != 200:
        raise ScenarioFailed(f"the public log's head was answered {head.status}")
    (folder / "head.json").write_bytes(head.body)
    size = int(head.data["size"])
    for start in range(0, size, AT_ONCE):
        end = min(start + AT_ONCE, size)
        page = web.get(f"/api/log/{programme}/entries?start={start}&end={end}")
        if page.status != 200:
            raise ScenarioFailed(f"the public log's entries from {start} on were answered {page.status}")
        (folder / f"entries-{start:07d}.json").write_bytes(page.body)
    return size
