"""The report: one self-contained HTML page with the theory, its proofs, a pair of schedules, measurements."""
