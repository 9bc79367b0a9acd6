"""The page of its own: quoted paths, ports, hosts, and the token."""
import ast
import json
import socket
import threading
import time
import webbrowser

import pytest

from leuknb.lib import page
from leuknb.lib.errors import InputError
from leuknb.lib.page import explore_page, free_port, is_local, page_notebook, reached, refuse_foreign_hosts


def test_page_notebook_quotes_its_paths(tmp_path):
    path = page_notebook(tmp_path, tmp_path / 'a"b\n\'c', images="x'y")
    cell = json.loads(path.read_text())["cells"][0]["source"]
    call = ast.parse(cell).body[1].value
    assert ast.literal_eval(call.args[0]) == str((tmp_path / 'a"b\n\'c').resolve())


def test_ports_and_hosts():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(InputError, match="cannot be used"):
            free_port("127.0.0.1", taken.getsockname()[1])
    with pytest.raises(InputError, match="cannot be used"):
        free_port("127.0.0.1", 70_000)
    assert [reached(h) for h in ("127.0.0.1", "0.0.0.0", "::", "::1")] == ["127.0.0.1", "127.0.0.1", "127.0.0.1", "[::1]"]
    assert is_local("127.0.0.1") and is_local("localhost") and not is_local("0.0.0.0") and not is_local("10.1.2.3")


def test_the_page_that_is_opened_is_the_one_with_the_token(drawn_folder, monkeypatch, capsys):
    opened, came = [], threading.Event()
    monkeypatch.setattr(webbrowser, "open", lambda address: (opened.append(address), came.set()))

    def serve(notebook, theme, ip, port, open_browser, **options):
        with socket.create_server((ip, port)):
            assert not open_browser and came.wait(20)
    monkeypatch.setattr(page, "serve", serve)
    explore_page(drawn_folder)
    assert opened[0].split("token=")[1] and f": {opened[0]}\n" in capsys.readouterr().out


def test_a_folder_that_is_no_run_is_refused_before_a_server_starts(tmp_path, monkeypatch):
    monkeypatch.setattr(page, "serve", lambda *args, **kwargs: pytest.fail("served"))
    with pytest.raises(InputError, match="no run of leuknb"):
        explore_page(tmp_path)


def test_without_voila_nothing_is_started(drawn_folder, monkeypatch, capsys):
    monkeypatch.setattr(page, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="pip install"):
        explore_page(drawn_folder)
    assert capsys.readouterr().out == ""


def test_the_address_is_printed_when_the_page_answers(drawn_folder, monkeypatch, capsys):
    printed = []

    def serve(notebook, theme, ip, port, **options):
        assert "http" not in capsys.readouterr().out
        with socket.create_server((ip, port)):
            end = time.monotonic() + 20
            while not printed and time.monotonic() < end:
                printed.extend(filter(None, [capsys.readouterr().out]))
    monkeypatch.setattr(page, "serve", serve)
    explore_page(drawn_folder, open_browser=False)
    assert "http://127.0.0.1:" in printed[0]


def test_an_address_of_the_network_is_announced(drawn_folder, monkeypatch, capsys):
    monkeypatch.setattr(page, "serve", lambda *args, **kwargs: None)
    explore_page(drawn_folder, open_browser=False, host="0.0.0.0")
    assert "Open to the network on 0.0.0.0" in capsys.readouterr().err
    explore_page(drawn_folder, open_browser=False)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("host, own, foreign", [
    ("127.0.0.1", ["127.0.0.1", "localhost:9000", "LOCALHOST", "[::1]:8866"],
     ["evil.example", "127.0.0.1.evil.example:8866", "192.168.0.7", "localhost.evil.example", "localhost:evil", ""]),
    ("0.0.0.0", ["192.168.0.7:8866", "[fe80::1]", "localhost", socket.gethostname()], ["evil.example", "1.2.3.4.evil.example"]),
    ("10.1.2.3", ["10.1.2.3", socket.gethostname(), "localhost"], ["10.1.2.4", "evil.example"]),
    ("lab.example", ["lab.example:8866"], ["evil.example"]),
])
def test_only_its_own_name_is_answered(host, own, foreign):
    from tornado import httputil, web
    app = web.Application()
    refuse_foreign_hosts(app, host)
    app.add_handlers(".*$", [(".*", web.RequestHandler)])

    def status(name):
        headers = httputil.HTTPHeaders({"Host": name})
        line = httputil.RequestStartLine("GET", "/api/kernels/1/channels", "HTTP/1.1")
        asked = httputil.HTTPServerRequest(start_line=line, headers=headers, connection=object())
        return app.find_handler(asked).handler_kwargs.get("status_code")
    assert [status(name) for name in own] == [None] * len(own)
    assert [status(name) for name in foreign] == [403] * len(foreign)
