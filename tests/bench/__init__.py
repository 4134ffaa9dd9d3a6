"""`make bench`: Hullmark beside `docker run` and Docker Swarm on the same dockerd, in one run.

Nothing here passes or fails: it measures, and prints figures with their ratios side by side.
"""
