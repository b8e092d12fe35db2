"""Every table of a district, imported once, so that one metadata holds them all."""

from importlib import import_module

from registry.base import Base

MODULES = (
    "app.tables",
    "registry.accounts",
    "registry.audit",
    "registry.bikes",
    "registry.cases",
    "registry.consent",
    "registry.dealers",
    "registry.filing_earlier",
    "registry.filing_history",
    "registry.filings",
    "registry.messages",
    "registry.one_time_codes",
    "registry.people",
    "registry.plates",
    "registry.proxies",
    "registry.trade_ins",
    "registry.unmasking",
    "subsidy.claims",
    "subsidy.ledger",
    "subsidy.payouts",
    "subsidy.programme",
    "subsidy.wallets",
)
for module in MODULES:
    import_module(module)

metadata = Base.metadata
