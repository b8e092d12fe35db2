"""A whole programme in small time: planned from a seed, walked over HTTP, then counted and checked to the fen."""
