"""Who is paid what: programme, queue, allocation, ledger and payouts. May import ``registry`` only."""
