"""What Hullmark and its containers have on this host, and what differs from a picture of the host taken before.

Owns: the picture of a whole host, its comparison, the list of what is Hullmark's. Refuses: to change anything, or to
need anything but Python where it only takes the picture. Invariant: what could not be looked at is named, never left out.
"""
