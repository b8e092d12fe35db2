"""Every process knows the tables it writes: started alone, without what the tests have imported before it."""

from __future__ import annotations

import subprocess
import sys

import pytest

FOREIGN_KEYS = """
import importlib, sys
importlib.import_module(sys.argv[1])
from registry.base import Base
tables = Base.metadata.tables
named = {key.target_fullname.split(".")[0] for table in tables.values() for key in table.foreign_keys}
print(*sorted(named - set(tables)))
"""


@pytest.mark.parametrize("module", ["app.scheduler", "app.factory", "registry.trade_ins", "registry.bikes"])
def test_a_process_knows_every_table_its_keys_name(module: str) -> None:
    told = subprocess.run(
        [sys.executable, "-c", FOREIGN_KEYS, module], capture_output=True, text=True, timeout=60, check=True
    )
    assert told.stdout.split() == []
