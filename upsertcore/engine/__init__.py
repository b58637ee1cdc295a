"""The decision on a patch: pure functions of a policy, a patch and a view."""
