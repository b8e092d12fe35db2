"""No process outlives the one that started it, not even when that one is killed with -9.

On Linux the kernel does it (PR_SET_PDEATHSIG); elsewhere, and in case that call is refused, a thread watches the
parent. Run as a script this file is a wrapper for programs that are not ours:

    python -I die_with_parent.py PARENT_PID SIGNAL UID GID PROGRAM [ARGUMENT…]

It becomes UID and GID (−1: stays who it is), asks for SIGNAL on the parent's death, and turns into PROGRAM. It uses the
standard library alone, so that it starts quickly and without the virtual environment.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time

PR_SET_PDEATHSIG = 1
WATCH_SECONDS = 1.0


def die_with_parent(signal_no: int, *, parent: int | None = None) -> None:
    """Have this process receive ``signal_no`` as soon as the process that started it is gone.

    ``parent`` is that process's id, so that one already gone is noticed too. Call it from a thread that lives as long
    as the process.
    """
    parent = os.getppid() if parent is None else parent
    if not _ask_kernel(signal_no):
        threading.Thread(target=_watch, args=(parent, signal_no), daemon=True, name="parent-watch").start()
    if os.getppid() != parent:
        os.kill(os.getpid(), signal_no)


def _ask_kernel(signal_no: int) -> bool:
    if not sys.platform.startswith("linux"):
        return False
    return bool(ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal_no, 0, 0, 0) == 0)


def _watch(parent: int, signal_no: int) -> None:
    while os.getppid() == parent:
        time.sleep(WATCH_SECONDS)
    os.kill(os.getpid(), signal_no)


def _become(uid: int, gid: int) -> None:
    if uid >= 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)


def main(arguments: list[str]) -> None:
    """Turn into another program that dies with PARENT_PID."""
    parent, signal_no, uid, gid = (int(text) for text in arguments[:4])
    # The kernel forgets the wish when the user changes, so the user changes first.
    _become(uid, gid)
    _ask_kernel(signal_no)
    if os.getppid() != parent:
        sys.exit(1)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.execv(arguments[4], arguments[4:])  # noqa: S606  (no shell is the point)


if __name__ == "__main__":
    main(sys.argv[1:])
