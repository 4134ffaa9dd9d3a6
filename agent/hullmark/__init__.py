"""Hullmark: a host agent that loads a host with containers only as far as its controls have earned."""

__version__ = "0.7.0"
