"""Keys and certificates: the cluster's authority, requests, and their checks.

Owns: ECDSA P-256 keys, X.509, files with mode 0600, invite tokens. Refuses: to copy a private key anywhere.
Invariant: a certificate names one host or one master, and what it may be used for.
The heavy library for X.509 is imported by `authority` and `certificates` only, which a running agent needs rarely.
"""
