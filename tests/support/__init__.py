"""What tests share: models, oracles, traps, and the ways to ask a program or a report. A test imports from here alone."""
