"""Containers: the Engine protocol over the Docker API, for Docker Engine and Podman.

Owns: the translation of a bundle to an engine's request, registries and their credentials.
Refuses: to decide what should run, and to touch a container that doesn't carry our labels.
Invariant: every call may be repeated.
"""
