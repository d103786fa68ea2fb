"""Environments, conversions and processes of the peers."""
