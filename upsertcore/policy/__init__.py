"""Policies: the options of fields and keys, checked when a policy is created."""
