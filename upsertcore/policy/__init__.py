"""Policies: the table of fields and keys, checked when it is made."""
