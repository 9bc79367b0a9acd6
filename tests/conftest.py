"Tests marked `long` take more than a few seconds each and run by `make test-long` alone."
import pytest


def pytest_addoption(parser):
    parser.addoption("--long", action="store_true", help="run the long tests, and no others")


def pytest_configure(config):
    config.addinivalue_line("markers", "long: slow; run by `make test-long`")


def pytest_collection_modifyitems(config, items):
    wanted, skip = config.getoption("--long"), pytest.mark.skip(reason="other tests are asked for (--long)")
    for item in items:
        if ("long" in item.keywords) != wanted and "browser" not in str(item.path.parent.name):
            item.add_marker(skip)
