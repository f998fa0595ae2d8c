"""Outside libraries at arm's length: each is imported where it is used, and its conventions end at the adapter."""
