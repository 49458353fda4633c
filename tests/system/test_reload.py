"""The registry is reloaded while the server runs; a bad edit changes nothing."""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor

import httpx

from conftest import wait_until

ONE = '[[model]]\nid = "one"\nplugin = "stub"\nload = "eager"\n'
TWO = '[[model]]\nid = "two"\nplugin = "stub"\nload = "eager"\n'


def ids(server) -> set[str]:
    return {model["id"] for model in httpx.get(f"{server.url}/v1/models").json()["data"]}


def test_an_edit_adds_a_model_and_leaves_the_others_alone(start, tmp_path):
    server = start(ONE)
    [pid] = server.plugin_pids("stub")
    (tmp_path / "registry-0.toml").write_text(ONE + TWO)
    wait_until(lambda: ids(server) == {"one", "two"}, "the new model is listed")
    wait_until(lambda: httpx.get(f"{server.url}/readyz").status_code == 200, "it is ready")
    assert pid in server.plugin_pids("stub")


def test_a_bad_edit_changes_nothing_and_says_why(start, tmp_path):
    server = start(ONE)
    pids = server.plugin_pids("stub")
    path = tmp_path / "registry-0.toml"
    path.write_text(ONE + "[[model]]\nid = \"two\"\nplugin = \"stub\"\ncolour = \"red\"\n")
    server.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "colour" in server.log.read_text(), "the log names the unknown key")
    assert ids(server) == {"one"}
    assert server.plugin_pids("stub") == pids
    path.write_text(TWO)
    wait_until(lambda: ids(server) == {"two"}, "a later good edit is taken")


def test_sigterm_lets_a_running_request_finish(start):
    server = start(ONE + 'options = { latency = "2s" }\n')
    with ThreadPoolExecutor() as pool:
        body = {"model": "one", "input": "slow"}
        reply = pool.submit(httpx.post, f"{server.url}/v1/embeddings", json=body, timeout=60)
        wait_until(lambda: server.metric("sensorium_requests_running", model="one") == 1, "the request runs")
        assert server.stop() == 0
        assert reply.result().status_code == 200
