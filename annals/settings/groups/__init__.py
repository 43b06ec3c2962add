"""The settings by group: a class each, of which ``Settings`` consists."""
