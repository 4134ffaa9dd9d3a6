"""Tests against real engines and a real registry, and the code that starts those.

`engines` and `registry` are also for the demo, the bench and the end-to-end tests.
"""
