"""Decisions, values and text: no process, no network, no waiting. Mirrors the package."""
