"""What a user calls, and the frozen results that the calls return."""
