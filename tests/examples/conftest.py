"""The examples of HOWTO.md are run by ``tests/test_howto.py`` alone."""

collect_ignore_glob = ["*.py"]
