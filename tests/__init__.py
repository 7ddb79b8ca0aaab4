import pytest

# Failed assertions in shared helpers show their values, as those in a test do.
pytest.register_assert_rewrite("tests.support")
