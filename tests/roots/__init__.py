"""The unit suite in the oldest and the newest Debian that it must work with, and in Ubuntu's releases; where their packages come from."""
