"""The unit suite in the oldest and the newest Debian that it must work with."""
