"""HAProxy itself reads these in tests/integration/test_proxy_engine.py."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hullmark.core.proxyplan import plan
from hullmark.engine.haproxyabilities import ALL, Abilities, abilities_of
from hullmark.engine.haproxyconfig import (
    ADDRESSES,
    ADMISSIONS,
    CALLERS,
    CONFIG,
    MOST_STRANGE,
    MOST_TOLD,
    Settings,
    render,
)
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
    OtherEntry,
    Peer,
    PublishedEntry,
    ServiceEntry,
    ServiceName,
    Share,
)
from hullmark.model.orders import InstanceId
from hullmark.model.proxy import Bridge, Member, ProxySight
from hullmark.model.proxyplan import PROXY_UNIT, Bind
from tests.unit.core.proxyworld import API, BRIDGES, MEMBERS, SIGHT, THERE, member, seen

SETTINGS = Settings(Path("/f"), Path("/r"), user="haproxy", group="haproxy")


IS_OFTEN = f"{{ sc1_gpc0_rate gt {MOST_TOLD} }}"
BEFORE_2_6 = abilities_of("HAProxy version 2.5.14 2023/05/02 - https://haproxy.org/")


def config(sight: ProxySight = SIGHT, abilities: Abilities = ALL) -> str:
    return render(plan(sight), replace(SETTINGS, abilities=abilities)).files[CONFIG]


def test_what_changes_while_it_runs_is_no_part_of_the_structure() -> None:
    same = [
        SIGHT,
        seen(members=MEMBERS[:1]),
        seen(members=(*MEMBERS, member(API, 7, front="172.20.0.9"))),
    ]
    assert len({render(plan(one), SETTINGS).digest for one in same}) == 1


@pytest.mark.parametrize("can", [ALL, BEFORE_2_6])
def test_whoever_calls_another_service_is_refused_without_a_backend(can: Abilities) -> None:
    other = OtherEntry(ServiceName("far", "db"), "10.214.0.7", (5432,))
    text = config(seen(others=(other,)), can)
    assert "backend svc:far:db:5432" not in text
    begin = text.index("frontend ask:far:db:5432 from tcp")
    frontend = re.split(r"^(?=frontend|backend)", text[begin:], flags=re.MULTILINE)[1]
    assert frontend.count("bind 10.214.0.7:5432 interface ") == len(BRIDGES)
    assert "tcp-request content reject if TRUE" in frontend
    assert frontend.index("sc-inc-gpc0(1) if TRUE") < frontend.index("session reject if")
    assert "default_backend" not in frontend
    assert "accept" not in frontend


def test_a_container_at_another_address_is_another_server_only_where_one_can_be_added() -> None:
    here = next(one for one in SIGHT.members if one.name == API)
    again = replace(here, addresses={"front": "172.20.0.99"})
    moved = seen(members=(again, *(one for one in SIGHT.members if one != here)))

    def names(can: Abilities) -> list[set[str]]:
        made = [render(plan(one), replace(SETTINGS, abilities=can)) for one in (SIGHT, moved)]
        return [{name for each in one.servers.values() for name in each} for one in made]

    mark = f"-{here.container_id[:12]}-"
    before, after = names(BEFORE_2_6)
    assert before == after
    assert any(name.endswith(mark) for name in before)
    before, after = names(ALL)
    assert before != after
    assert any(name.endswith(f"{mark}172.20.0.99") for name in after)


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


@pytest.mark.parametrize("can", [ALL, BEFORE_2_6])
def test_refusals_are_counted_before_they_are_refused_and_logged_in_part(can: Abilities) -> None:
    """Whatever refuses: a service address of another app, an internal network, the port for other hosts. What ends before it is a session isn't logged."""
    inner = replace(BRIDGES[0], internal=True, subnet="172.20.0.0/24")
    blocks = re.split(r"\n(?=frontend |backend )", config(seen(bridges=(inner, *BRIDGES[1:])), can))
    refusing = [block for block in blocks if " reject " in block]
    assert {block.split()[1].partition(":")[0] for block in refusing} == {"ask", "pub", "tls"}
    for block in refusing:
        rules = re.findall(r"tcp-request (session|content) (\S+) (.*)", block)
        before = [(level, what) for level, what, _ in rules]
        counted = before.index(
            ("content" if block.startswith("frontend tls") else "session", "track-sc1")
        )
        level = before[counted][0]
        assert before[counted + 1] == (level, "sc-inc-gpc0(1)"), block
        often = [what for level, what, how in rules if how.endswith(f"if {IS_OFTEN}")]
        if level == "session":
            assert before[counted + 2] == ("session", "reject"), block
            assert often == ["reject"], block
        else:
            assert often == (["set-log-level"] if can.silences else []), block
        assert before.index(("content", "reject")) > counted + 1


def test_a_version_before_2_6_is_told_nothing_that_it_doesnt_know() -> None:
    text = config(abilities=BEFORE_2_6)
    for word in ("error-log-format", "set-var-fmt", "fc_err", "content set-log-level"):
        assert word in config()
        assert word not in text
    assert "mworker-max-reloads 20\n" in config()
    assert "mworker-max-reloads 50\n" in text
    same = [line for line in config().splitlines() if " bind " in line or " ssl-" in line]
    assert [line for line in text.splitlines() if " bind " in line or " ssl-" in line] == same


@pytest.mark.parametrize("can", [ALL, BEFORE_2_6])
def test_many_connections_of_one_address_are_turned_away_but_no_hosts(can: Abilities) -> None:
    """Before their TLS costs anything. A host's are known by its address, and by its certificate where it comes from another."""
    (block,) = [b for b in config(abilities=can).split("\nfrontend ") if b.startswith("tls ")]
    lines = [line.strip() for line in block.splitlines()]
    is_host = f"{{ ssl_c_s_dn(OU) -m str {PROXY_UNIT} }} of_cluster"
    wanted = [
        "tcp-request connection track-sc2 src,ipmask(32,64) table strangers",
        "acl host src 192.0.2.2",
        "acl known_host sc2_get_gpt0 gt 0",
        f"tcp-request connection reject if {{ sc2_conn_cur gt {MOST_STRANGE} }} !known_host !host",
        f"acl of_cluster ssl_c_s_dn(CN) -m str {THERE}",
        f"tcp-request session sc-set-gpt0(2) 1 if {is_host}",
    ]
    assert [line for line in lines if line in wanted] == wanted
    assert "store gpc0,gpc0_rate(10s),gpt0,conn_cur" in block
    often = (
        f"tcp-request connection reject if {{ sc2_conn_rate gt {MOST_STRANGE} }} !known_host !host"
    )
    assert (often in lines) != can.tells_of_failures, "where each would be a line of the log"
    assert ("gpt0,conn_cur,conn_rate(10s)\n" in block) != can.tells_of_failures
    (alone,) = [b for b in config(seen(peers=()), can).split("\nfrontend ") if b.startswith("tls ")]
    assert "    acl host always_false\n" in alone
    assert "    acl of_cluster always_false\n" in alone


def test_strangers_are_told_of_in_part_by_the_address_that_they_come_from() -> None:
    """The last expression is the whole line, or nothing where a mark is before it; the others only set what that needs, and print nothing."""
    (block,) = [block for block in config().split("\nfrontend ") if block.startswith("tls ")]
    lines = [line.strip() for line in block.splitlines()]
    (tracked, _, way) = [line for line in lines if line.startswith("tcp-request connection ")]
    assert tracked.split()[2:5] == ["track-sc2", "src,ipmask(32,64)", "table"]
    (made,) = [line for line in lines if line.startswith("error-log-format ")]
    *kept, line = re.findall(r"%\{-M\}\[([^]]*)\]", made)
    assert all(one.endswith(",field(2,|)") for one in kept)
    assert line.startswith(f"sc2_gpc0_rate,div({MOST_TOLD + 1}),bool,iif(|,),concat(")
    assert line.endswith(",field(1,|)")
    names = re.findall(r"set-var\(sess\.(\w+)\)", made)
    assert dict(zip(names, kept))["failures"].startswith("sc2_inc_gpc0,")
    parts = re.findall(r'concat\((?:"((?:[^"\\]|\\.)*)")?,sess\.(\w+),"((?:[^"\\]|\\.)*)"\)', line)
    told = "".join(f"{before}<{name}>{after}" for before, name, after in parts).replace("\\", "")
    assert set(re.findall("<([a-z]+)>", told)) == {*names, "way"}
    of_way = re.sub(r"%\[\w+\]", "1", way.split("'")[1])
    record = json.loads(told.replace("<way>", of_way).replace("<failures>", "11"))
    assert record["log"] == f"host:{SIGHT.host_id}"
    assert (record["outcome"], record["subject"], record["failures"]) == ("refused", "tls", 11)
    assert set(record) >= {"at", "kind", "stage", "by", "actor", "origin", "origin_port"}


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
    is_check = f"if {{ ssl_fc_sni -m str check.{SIGHT.host_id} }} {{ ssl_c_s_dn(OU) -m str proxy }} of_cluster"
    assert rules[:2] == [
        f"tcp-request content set-log-level silent {is_check}",
        f"tcp-request content accept {is_check}",
    ]
    assert f"    use_backend checked {is_check}\n" in text
    assert "backend checked from web\n    http-request return status 200" in text
    assert f"check check-sni check.{THERE} " in text
    text = config(abilities=BEFORE_2_6)
    assert "set-log-level" not in text.partition("\nbackend checked ")[0]
    silent = "http-request set-log-level silent\n    http-request return status 200"
    assert f"backend checked from web\n    {silent}" in text


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
    r"| +(tcp-request|tcp-response) (content|session) [ A-Za-z0-9_.:/@(),{}-]+"
    r"| +tcp-request connection track-sc2 src,ipmask\(32,64\) table strangers"
    r"| +acl (host|shut_out) src( [0-9a-f.:]+)+| +acl (host|of_cluster) always_false| +acl of_cluster ssl_c_s_dn\(CN\) -m str( [A-Za-z0-9][A-Za-z0-9_-]*)+| +acl known_host sc2_get_gpt0 gt 0"
    r"| +tcp-request connection reject if \{ sc2_conn_(cur|rate) gt 200 \} !known_host !host"
    r"| +tcp-request connection set-var-fmt\(sess.way\) '[^']*'"
    r"| +tcp-request inspect-delay 2s| +tcp-request content accept if \{ [a-z0-9A-Z(),.:_-]+ gt 0 \} \|\| \{ stopping \} \|\| WAIT_END"
    r"| +acl known src,concat\([A-Za-z0-9_./@-]+\) -m str -f /f/callers.acl"
    r"| +unique-id-format %rt| +stick-table type (string len [0-9]+|ipv6) size [0-9]+ expire [0-9]+s( store gpc0,gpc0_rate\(10s\)(,gpt0,conn_cur(,conn_rate\(10s\))?)?)?"
    r"| +http-request set-header X-Forwarded-For %\[src\]| +http-request del-header X[_-]Forwarded[_-]For| +option allbackups"
    r"| +http-request deny deny_status 405 if METH_CONNECT| +http-request del-header Upgrade if \{ req.hdr\(Upgrade\) -i -m sub h2c \}| +http-request del-header Connection if \{ req.hdr\(Connection\) -i X-Forwarded-For \}"
    rf"| +use_backend checked if \{{ ssl_fc_sni -m str {_NAME} \}} \{{ ssl_c_s_dn\(OU\) -m str proxy \}} of_cluster"
    r"| +http-request set-log-level silent| +http-request return status 200| +option httpchk GET /| +timeout connect 1500ms"
    r"| +timeout client 5s| +maxconn 15000| +log-format '\{[^']*\}'| +error-log-format '(%\{-M\}\[[^]']*\])+'"
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


@given(sights(), st.sampled_from([ALL, BEFORE_2_6]))
@settings(max_examples=300, deadline=None)
def test_nothing_in_a_directory_can_write_a_line_of_its_own(sight, abilities) -> None:
    files = render(plan(sight), replace(SETTINGS, abilities=abilities)).files
    check_lines(files, abilities)


def test_the_form_that_is_checked_is_that_of_real_ones() -> None:
    check_lines(render(plan(SIGHT), SETTINGS).files)


def check_lines(files: Mapping[str, str], abilities: Abilities = ALL) -> None:
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
    assert re.fullmatch(HEADS[abilities], re.sub(r"host:[A-Za-z0-9_-]*", "host:", _plain(head))), (
        head
    )


def _plain(head: str) -> str:
    return re.sub(r"description [0-9a-f]{32}", "description D", head)


HEADS = {
    each: re.escape(_plain(config(ProxySight(""), each).partition("\nbackend ")[0]))
    for each in (ALL, BEFORE_2_6)
}
