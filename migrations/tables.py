"""Every table of a district, imported once, so that one metadata holds them all."""

from importlib import import_module

from registry.base import Base

MODULES = (
    "app.tables",
    "registry.accounts",
    "registry.audit",
    "registry.bikes",
    "registry.cases",
    "registry.dealers",
    "registry.filings",
    "registry.messages",
    "registry.people",
    "registry.plates",
    "registry.trade_ins",
    "subsidy.claims",
    "subsidy.ledger",
    "subsidy.payouts",
    "subsidy.programme",
    "subsidy.wallets",
)
for module in MODULES:
    import_module(module)

metadata = Base.metadata
