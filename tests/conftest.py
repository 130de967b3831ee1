"""What every test stands on: its own home, loopback alone, async tests, police, patience, and no skips in CI."""

pytest_plugins = [
    "pytester",
    "tests.support.isolation",
    "tests.support.async_tests",
    "tests.support.no_skips",
    "tests.support.patience",
    "tests.support.police",
]
