"""Every table of a district, imported once, so that one metadata holds them all."""

from importlib import import_module

from registry.base import Base

MODULES = (
    "app.tables",
    "registry.accounts",
    "registry.audit",
    "registry.batteries",
    "registry.bike_models",
    "registry.bikes",
    "registry.cases",
    "registry.code_limits",
    "registry.compliance",
    "registry.consent",
    "registry.dealer_applications",
    "registry.dealer_commitments",
    "registry.dealer_handover",
    "registry.dealer_licences",
    "registry.dealer_steps",
    "registry.dealer_training",
    "registry.dealers",
    "registry.destruction",
    "registry.erasure",
    "registry.filing_earlier",
    "registry.filing_history",
    "registry.filings",
    "registry.import_jobs",
    "registry.messages",
    "registry.owner_drafts",
    "registry.people",
    "registry.plates",
    "registry.point_drafts",
    "registry.proxies",
    "registry.second_factor",
    "registry.staff_requests",
    "registry.stock_import",
    "registry.trade_ins",
    "registry.transfers",
    "registry.unmasking",
    "subsidy.appeals",
    "subsidy.claims",
    "subsidy.corrections",
    "subsidy.holds",
    "subsidy.ledger",
    "subsidy.log_tables",
    "subsidy.overrules",
    "subsidy.payouts",
    "subsidy.programme",
    "subsidy.statement_lines",
    "subsidy.wallet_checks",
    "subsidy.programme_change",
    "subsidy.programme_change_effect",
    "subsidy.reclaims",
    "subsidy.returns",
    "subsidy.stage_notices",
    "subsidy.wallets",
)
for module in MODULES:
    import_module(module)

metadata = Base.metadata
