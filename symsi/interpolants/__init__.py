"""Rows of coefficients over named parts: schedules, the named ones, the lazy families."""
