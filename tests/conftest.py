"""What every test stands on: its own home, loopback alone, async tests, and police for what is left behind."""

pytest_plugins = ["pytester", "tests.support.isolation", "tests.support.async_tests", "tests.support.police"]
