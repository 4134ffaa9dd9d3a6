"""Compose files to the normalised app of the model.

Owns: which Compose keys are honoured, warned about or refused. Refuses: network and engine.
Invariant: no key is dropped in silence.
"""
