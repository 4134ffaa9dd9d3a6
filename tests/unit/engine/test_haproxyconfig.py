"""HAProxy itself reads these in tests/integration/test_proxy_engine.py."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from hullmark.core.proxyplan import plan
from hullmark.engine.haproxyconfig import ADDRESSES, ADMISSIONS, CALLERS, CONFIG, Settings, render
from hullmark.engine.haproxyreading import (
    addresses_in,
    binds_in,
    binds_of,
    digest_in,
    stale,
    without,
)
from hullmark.model.app import ClientAddress
from hullmark.model.directory import (
    Admission,
    Directory,
    Peer,
    PublishedEntry,
    ServiceEntry,
    ServiceName,
    Share,
)
from hullmark.model.orders import InstanceId
from hullmark.model.proxy import Bridge, Member, ProxySight
from hullmark.model.proxyplan import Bind
from tests.unit.core.proxyworld import API, BRIDGES, MEMBERS, SIGHT, THERE, member, seen

SETTINGS = Settings(Path("/f"), Path("/r"), user="haproxy", group="haproxy")


def config(sight: ProxySight = SIGHT) -> str:
    return render(plan(sight), SETTINGS).files[CONFIG]


def test_what_changes_while_it_runs_is_no_part_of_the_structure() -> None:
    same = [
        SIGHT,
        seen(members=MEMBERS[:1]),
        seen(members=(*MEMBERS, member(API, 7, front="172.20.0.9"))),
    ]
    assert len({render(plan(one), SETTINGS).digest for one in same}) == 1


def test_a_long_list_of_subnets_is_in_lines_that_haproxy_takes() -> None:
    subnets = [f"10.213.{number}.0/26" for number in range(100)]
    bridges = [
        Bridge("shop", f"n{number}", f"br-{number}", number + 1, subnet, internal=True)
        for number, subnet in enumerate(subnets)
    ]
    lines = [line.split() for line in config(seen(bridges=tuple(bridges))).splitlines()]
    lists = [line for line in lines if line[:3] == ["acl", "shut_out", "src"]]
    assert {each for line in lists for each in line[3:]} == set(subnets)
    assert max(map(len, lists)) < 64


def test_what_is_listened_on_is_the_structure() -> None:
    other = [
        SIGHT,
        seen(bridges=BRIDGES[:2]),
        seen(bridges=(replace(BRIDGES[0], index=99), *BRIDGES[1:])),
        seen(published=()),
        seen(certificate="another"),
        seen(peers=()),
        replace(SIGHT, tls_port=7444),
    ]
    assert len({render(plan(one), SETTINGS).digest for one in other}) == len(other)


def test_a_file_says_what_it_is() -> None:
    made = render(plan(SIGHT), SETTINGS)
    text = made.files[CONFIG]
    assert digest_in(text) == made.digest
    assert binds_in(text) == binds_of(plan(SIGHT))
    assert addresses_in(text)["svc:shop:api.v1:80"] == "10.214.0.1"
    assert made.files[ADDRESSES] == "10.214.0.1\n10.214.0.2\n"
    assert f"{THERE}@5432+db+shop.{SIGHT.host_id} own:shop:db:5432\n" in made.files[ADMISSIONS]
    assert "172.22.0.2@shop/db\n" in made.files[CALLERS]


def test_an_ipv6_address_is_written_so_that_its_port_is_plain() -> None:
    sight = seen(addresses=("2001:db8::1",), published=(PublishedEntry(8080, "", API, 80),))
    assert "bind [2001:db8::1]:8080\n" in config(sight)
    assert Bind("2001:db8::1", 8080) in binds_in(config(sight))


def test_a_socket_is_stale_where_its_bridge_was_made_anew() -> None:
    former = config()
    assert stale(binds_of(plan(SIGHT)), former) == ()
    anew = plan(seen(bridges=(replace(BRIDGES[0], index=99), *BRIDGES[1:])))
    found = stale(binds_of(anew), former)
    assert found == tuple(sorted(one for one in binds_of(anew) if one.interface == "br-front"))
    assert not set(found) & binds_of(without(anew, found))


def test_a_frontend_without_sockets_is_left_out() -> None:
    made = plan(SIGHT)
    gone = [one for one in binds_of(made) if one.port == 80]
    assert "svc:shop:api.v1:80" not in {one.name for one in without(made, gone).frontends}


def test_a_client_can_name_no_address_for_itself() -> None:
    entry = replace(SIGHT.directory.services[0], client_address=ClientAddress.FORWARDED)
    assert "http-request set-header X-Forwarded-For %[src]" in config(seen(services=(entry,)))


def test_who_floods_one_port_leaves_connections_to_others() -> None:
    blocks = re.split(r"\n(?=frontend |backend )", config())
    found = [block for block in blocks if block.startswith("frontend ")]
    assert found
    assert all("    maxconn 15000\n" in block for block in found)
    assert "    maxconn 20000\n" in blocks[0]


def test_other_hosts_are_verified_both_ways() -> None:
    text = config()
    calls = [line for line in text.splitlines() if re.match(r" +server .* ssl ", line)]
    assert calls
    assert all(re.search(rf"verify required sni str\(\S+\.{THERE}\)", line) for line in calls)
    (bind,) = [line for line in text.splitlines() if ":7443" in line and "bind" in line]
    assert bind.endswith("verify required")


def test_a_host_that_seems_dead_is_a_last_resort() -> None:
    (servers,) = [
        [line.split()[1:] for line in block.splitlines() if " server " in line]
        for block in re.split(r"\n(?=frontend |backend )", config())
        if block.startswith("backend svc:shop:api.v1:80 ")
    ]
    elsewhere = [one for one in servers if " ".join(one).count(THERE)]
    assert [("track" in one, "backup" in one) for one in elsewhere] == [
        (True, False),
        (False, True),
    ]
    assert not any("check" in one for one in elsewhere)


def test_a_look_at_a_host_is_answered_and_not_logged() -> None:
    text = config()
    of_tls = next(
        block for block in re.split(r"\n(?=frontend |backend )", text) if "frontend tls" in block
    )
    rules = [line.strip() for line in of_tls.splitlines() if "content" in line]
    is_check = f"if {{ ssl_fc_sni -m str check.{SIGHT.host_id} }} {{ ssl_c_s_dn(OU) -m str proxy }}"
    assert rules[:2] == [
        f"tcp-request content set-log-level silent {is_check}",
        f"tcp-request content accept {is_check}",
    ]
    assert f"    use_backend checked {is_check}\n" in text
    assert "backend checked from web\n    http-request return status 200" in text
    assert f"check check-sni check.{THERE} " in text


# What a line of a configuration may look like; whatever a directory holds, nothing else comes out.
_NAME = r"[A-Za-z0-9_.:-]+"
_PLACE = r"(?:[0-9.]+|\[[0-9a-f:.]+\]):[0-9]+"
_LINES = re.compile(
    rf"(frontend|backend) {_NAME} from (tcp|web)|frontend tls from tcp"
    rf"| +bind {_PLACE}( interface [A-Za-z0-9_.-]+)?( accept-proxy ssl crt /f/proxy.pem ca-file /f/root.pem verify required)?"
    rf"| +server {_NAME} {_PLACE} check inter [ a-z0-9-]+"
    rf"| +server {_NAME} {_PLACE} ssl crt /f/proxy.pem ca-file /f/root.pem verify required sni str\([A-Za-z0-9_+.-]+\)"
    r" ssl-min-ver TLSv1.3 send-proxy-v2 [ A-Za-z0-9_.:/-]+"
    rf"| +(default_backend|use_backend) ({_NAME}|%\[var\(txn.backend\)\])"
    r"| +(tcp-request|tcp-response) content [ A-Za-z0-9_.:/@(),{}-]+"
    r"| +tcp-request inspect-delay 2s| +tcp-request content accept if \{ [a-z0-9A-Z(),.:_-]+ gt 0 \} \|\| WAIT_END"
    r"| +http-request set-header X-Forwarded-For %\[src\]| +option allbackups"
    rf"| +use_backend checked if \{{ ssl_fc_sni -m str {_NAME} \}} \{{ ssl_c_s_dn\(OU\) -m str proxy \}}"
    r"| +http-request return status 200| +option httpchk GET /| +timeout connect 1500ms"
    r"| +timeout client 5s| +maxconn 15000| +log-format '\{[^']*\}'"
    r"|# interface [A-Za-z0-9_.-]+ is [0-9]+"
)
_TABLE = re.compile(r"[A-Za-z0-9_.@+-]+ (own|last):[A-Za-z0-9_.:-]+")
_CALLER = re.compile(r"[0-9.]+@[a-z0-9_-]+/[A-Za-z0-9._-]+")

NASTY = st.one_of(
    st.sampled_from(
        [
            "web\n    bind :1",
            "a b",
            "x'",
            'q"',
            "web #",
            "a:b",
            "..",
            "%[src]",
            "${HOME}",
            "a\\",
            "10.0.0.1:80 ssl",
            "1.2.3.4\n",
            "::1%lo",
            "a\r",
            "\x00",
            "",
            "é",
            "web\u2028",
        ]
    ),
    st.text(max_size=8),
    st.sampled_from(["web", "shop", "br0", "10.214.0.1", "172.20.0.2", "a1"]),
)
PORT = st.one_of(st.integers(-1, 70000), st.just(80))
SERVICE = st.builds(ServiceName, NASTY, NASTY)


@st.composite
def sights(draw) -> ProxySight:
    name = draw(SERVICE)
    entry = ServiceEntry(
        name,
        draw(NASTY),
        tuple(draw(st.lists(PORT, max_size=2))),
        (Share(draw(NASTY), draw(st.integers(-3, 999))),),
        {draw(NASTY): ()},
        (draw(SERVICE),),
        draw(st.sampled_from(list(ClientAddress))),
    )
    directory = Directory(
        range=draw(NASTY),
        addresses=(draw(NASTY),),
        services=(entry,),
        published=(PublishedEntry(draw(PORT), draw(NASTY), name, draw(PORT)),),
        peers=(Peer(draw(NASTY), draw(NASTY), draw(NASTY), draw(PORT)),),
        admissions=(Admission(draw(NASTY), name, (draw(NASTY),)),),
    )
    instance = InstanceId(name.app, name.service, draw(st.integers(0, 9)), 1)
    network = next(iter(entry.networks))
    return ProxySight(
        draw(NASTY),
        directory,
        (Member(instance, draw(NASTY), {network: draw(NASTY)}, serving=True),),
        (Bridge(name.app, network, draw(NASTY), 3, ""), Bridge("b", "n", draw(NASTY), 4, "")),
        (draw(NASTY),),
        draw(NASTY),
        draw(PORT),
        draw(NASTY),
    )


@given(sights())
@settings(max_examples=300, deadline=None)
def test_nothing_in_a_directory_can_write_a_line_of_its_own(sight) -> None:
    files = render(plan(sight), SETTINGS).files
    check_lines(files)


def test_the_form_that_is_checked_is_that_of_real_ones() -> None:
    check_lines(render(plan(SIGHT), SETTINGS).files)


def check_lines(files: Mapping[str, str]) -> None:
    text = files[CONFIG]
    start = next(
        (i for i, line in enumerate(text.split("\n")) if line.startswith(("frontend", "backend"))),
        None,
    )
    lines = text.split("\n")[start:-1] if start is not None else []
    for line in lines:
        assert _LINES.fullmatch(line), line
    for line in files[ADMISSIONS].split("\n")[:-1]:
        assert _TABLE.fullmatch(line), line
    for line in files[CALLERS].split("\n")[:-1]:
        assert _CALLER.fullmatch(line), line
    for line in files[ADDRESSES].split("\n")[:-1]:
        assert re.fullmatch(r"[0-9.]+", line), line
    head = "\n".join(text.split("\n")[: start if start is not None else -1])
    assert re.fullmatch(HEAD, re.sub(r"host:[A-Za-z0-9_-]*", "host:", _plain(head))), head


def _plain(head: str) -> str:
    return re.sub(r"description [0-9a-f]{32}", "description D", head)


_IDLE = render(plan(ProxySight("")), SETTINGS).files[CONFIG]
HEAD = re.escape(_plain(_IDLE.rstrip("\n")))
