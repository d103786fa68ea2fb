"""Suites of measurements: whole peers, their starts and sizes, sessions alone, parity."""
