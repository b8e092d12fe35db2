"""Load tests, benchmarks, and the check that the books still balance."""
