"""Evidence packs: what an assessor asks for, put together from records, signed, and verified anywhere.

Owns: the pack's files, its report, its manifest and signature, scrubbing, and verifying all of it offline.
Refuses: asking a master or a host for anything; what is in a pack is given to it.
Invariant: a pack shows no result as proven that its records don't show as passed, and a changed byte is found.
"""
