"""The examples of HOWTO.md are imported by the tests that run them."""

collect_ignore_glob = ["*.py"]
