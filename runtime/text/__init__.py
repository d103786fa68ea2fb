"""Texts as callers pass them, and the tokens and windows that they become."""
