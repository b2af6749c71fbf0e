from __future__ import annotations

import json

import pytest

from bailing_tasks.sandbox import render
from bailing_tasks.sandbox.aptsources import Source


def test_apt_is_kept_apart() -> None:
    text = render.apt_config("/home/apt", system=False)
    assert 'Dir::State::Lists "/home/apt/lists";' in text
    assert 'Dir::Etc::SourceList "/home/apt/sources.list";' in text
    assert 'Dir::Etc::SourceParts "/dev/null";' in text
    assert 'Dir::State::Status "/dev/null";' in text
    assert text.startswith("#clear APT::Update::Post-Invoke;")


def test_an_installation_knows_what_is_installed() -> None:
    assert "Dir::State::Status" not in render.apt_config("/home/apt", system=True)


def test_sources_are_one_a_line() -> None:
    source = Source(uri="http://m.example/debian", suite="trixie", components=("main",))
    assert render.apt_sources([source, source]) == "deb http://m.example/debian trixie main\n" * 2


def test_the_registry_deletes_and_logs_requests() -> None:
    document = json.loads(render.registry_config(storage="/s", address="127.0.0.1:1"))
    assert document["storage"] == {
        "filesystem": {"rootdirectory": "/s"},
        "delete": {"enabled": True},
    }
    assert document["http"] == {"addr": "127.0.0.1:1"}
    assert document["log"]["accesslog"] == {"disabled": False}


@pytest.mark.parametrize("store", ["containerd", "classic"])
@pytest.mark.parametrize("resolvers", [[], ["192.0.2.1"]])
def test_an_engine_has_everything_of_its_own(store: str, resolvers: list[str]) -> None:
    document = json.loads(
        render.daemon_config(
            store=store,
            data="/data",
            run="/run/x",
            bridge="br-x",
            mtu=1400,
            resolvers=resolvers,
            init="/tools/init",
        )
    )
    assert document["features"] == {"containerd-snapshotter": store == "containerd"}
    assert document["hosts"] == ["unix:///run/x/docker.sock"]
    assert document["exec-root"].startswith("/run/x/")
    assert document["pidfile"].startswith("/run/x/")
    assert (document["data-root"], document["bridge"], document["mtu"]) == ("/data", "br-x", 1400)
    assert not document["iptables"]
    assert document.get("dns", []) == resolvers


def test_the_client_finds_its_plugins() -> None:
    assert json.loads(render.client_config(plugins="/p")) == {"cliPluginsExtraDirs": ["/p"]}


def test_an_index_holds_its_descriptors_in_order() -> None:
    document = json.loads(render.index([{"digest": "b"}, {"digest": "a"}]))
    assert [entry["digest"] for entry in document["manifests"]] == ["b", "a"]
    assert document["mediaType"] == "application/vnd.oci.image.index.v1+json"
    assert document["schemaVersion"] == 2
