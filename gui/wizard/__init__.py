"""The first start of a profile: a state machine without Qt, and the pages over it."""
