"""Pictures, tables and sentences of any result."""
