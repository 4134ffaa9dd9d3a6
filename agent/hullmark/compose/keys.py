"""THE table of Compose keys: honoured, warned about or refused, and why. docs/compose.md shows it.

Each section is a mapping with fixed keys. Its path is dotted; `*` stands for a name that the file chooses, `[]`
for the items of a list. A title that ends with a dash belongs to a mapping that the Specification lets hold no
`x-` keys. What stands behind `honoured` says how; behind the others, why.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass


class Treatment(enum.Enum):
    HONOURED = "honoured"
    WARNED = "warned"
    REFUSED = "refused"


@dataclass(frozen=True)
class Key:
    name: str
    treatment: Treatment
    why: str


@dataclass(frozen=True)
class Section:
    """The keys of one mapping, by name. `extensible`: the Specification lets it hold `x-` keys."""

    path: str
    title: str
    keys: Mapping[str, Key]
    extensible: bool = True


_TABLE = """
[] The file
name            honoured the app's name, unless the command line says another
version         honoured accepted and without a meaning, as the Specification says
services        honoured at least one
networks        honoured each one is a bridge of its own on every host that needs it
volumes         honoured each host has its own
configs         honoured shipped with the app
secrets         honoured files on the hosts; their content never leaves them
include         refused  give each file with -f, or merge them
models          refused  Hullmark runs containers, not language models
x-hullmark      honoured what all services of the app have in common

[x-hullmark] Hullmark's own key, of the app
require         honoured as in each service of the app, beside what that says itself

[services.*] A service
annotations     warned   engines before Docker 24, and Podman, drop them
attach          warned   it is about `docker compose up`; use `hullmark logs -f`
blkio_config    refused  the engine request of Hullmark doesn't limit block devices
build           refused  Hullmark builds no images; build and push it, and pass --image SERVICE=REF
cap_add         honoured with or without CAP_; Linux capabilities only
cap_drop        honoured with or without CAP_; Linux capabilities only
cgroup          honoured `host` or `private`
cgroup_parent   refused  where containers stand in the host's cgroups is the host's choice
command         honoured text is split as a shell does, and run without one
configs         honoured
container_name  warned   instances are called APP.SERVICE.SLOT.gN; other services reach them by the service's name
cpu_count       refused  Windows only; use cpus
cpu_percent     refused  Windows only; use cpus
cpu_period      refused  use cpus
cpu_quota       refused  use cpus
cpu_rt_period   refused  real-time scheduling takes time from the host's own tools
cpu_rt_runtime  refused  real-time scheduling takes time from the host's own tools
cpu_shares      refused  use cpus, or deploy.resources.reservations.cpus
cpus            honoured the same as deploy.resources.limits.cpus
cpuset          refused  which processors a container gets differs from host to host; use cpus
credential_spec refused  Windows only
depends_on      honoured a circle is an error
deploy          honoured
develop         warned   it is about developing on one machine
device_cgroup_rules refused  use devices
devices         honoured paths only
dns             honoured
dns_opt         honoured
dns_search      honoured
domainname      honoured
entrypoint      honoured text is split as a shell does, and run without one
env_file        honoured read where the command runs; its values become part of the app
environment     honoured a NAME alone takes the value that the command's environment or .env has
expose          honoured ranges are written out; TCP ports are the service's under its address
extends         honoured resolved while the files are read
external_links  refused  use a network with `external: true` and the other container's name
extra_hosts     honoured
gpus            refused  Hullmark doesn't hand out GPUs
group_add       honoured
healthcheck     honoured
hostname        honoured
image           honoured its tag is looked up and pinned to a digest at apply; refused where no host can look it up
init            honoured
ipc             honoured `host`, `private`, `shareable` or `none`
isolation       refused  Windows only
label_file      refused  write the labels out under labels
labels          honoured not those that begin with io.hullmark.
links           warned   the services reach each other by name; an alias becomes a network alias of the linked service
logging         honoured without a driver: the engine's file driver, 3 files of 10 MB
mac_address     honoured on the service's first network
mem_limit       honoured the same as deploy.resources.limits.memory
mem_reservation honoured the same as deploy.resources.reservations.memory
mem_swappiness  refused  cgroup v1 only
memswap_limit   honoured memory and swap together; needs a memory limit; -1: no limit
models          refused  Hullmark runs containers, not language models
network_mode    honoured `bridge`, `host` or `none`; not `service:` and `container:`, whose target may be replaced at any time
networks        honoured `default` where none is named
oom_kill_disable refused  a container that can't be killed takes the host down with it
oom_score_adj   honoured
pid             honoured `host`; not `service:` and `container:`, whose target may be replaced at any time
pids_limit      honoured the same as deploy.resources.limits.pids
platform        honoured Linux only; decides on which hosts it may run
ports           honoured
post_start      refused  put it into the image's start, or into a service of its own
pre_stop        refused  put it into the process that gets stop_signal
privileged      honoured with a warning; the host's policy decides
profiles        honoured a service with profiles is there if one of them is asked for
provider        refused  Hullmark runs containers only
pull_policy     honoured `always`, `missing` (also if_not_present) or `never`; images are not built and not pulled by age
pull_refresh_after refused  images are not pulled by age
read_only       honoured
restart         honoured without it `always`, or `no` where another service waits for its completion
runtime         refused  which runtime starts containers is the host's choice
scale           honoured the same as deploy.replicas
secrets         honoured
security_opt    honoured no seccomp profiles from files
shm_size        honoured
stdin_open      honoured
stop_grace_period honoured
stop_signal     honoured
storage_opt     refused  depends on the storage of each host
sysctls         honoured
tmpfs           honoured with the options size=, mode=, ro and rw
tty             honoured
ulimits         honoured
use_api_socket  refused  the engine's socket is root on the host
user            honoured
userns_mode     honoured `host`
uts             honoured `host`
volumes         honoured
volumes_from    refused  name the volumes in both services
working_dir     honoured
x-hullmark      honoured

[services.*.x-hullmark] Hullmark's own key
on_host_lost    honoured `replace`, `keep` or `stop`; without it `keep` with local data, else `replace`
one_shot        honoured runs once for each generation of the app; see above
scope           honoured `cde`: only on hosts of that scope which prove the control `container-routing`; `out`, or nothing: only on others; see above
require         honoured controls that a host has to prove before it gets new instances; see above
uses            honoured services that this one calls, of other apps or of no common network: APP/SERVICE, or SERVICE of its own; see above
ingress         honoured constraints as of placement: which hosts answer its published ports; without it every host with a proxy
client_address  honoured `none`, `proxy` or `forwarded`: how its containers learn who called a published port; see above
drain           honoured how long an instance that stops may go on with its connections, 0s to 5m; 5s if not given

[services.*.x-hullmark.require[]] A required control
control         honoured a control, or a function that several controls stand for each other in
level           honoured the least that it has to prove, 0 to 4; without it any pass will do

[services.*.depends_on.*] A dependency
condition       honoured `service_started`, `service_healthy` or `service_completed_successfully`
required        honoured
restart         warned   the dependent service goes on running when the other is replaced

[services.*.env_file[]] A file of variables -
path            honoured relative to the first Compose file's folder
required        honoured
format          honoured `raw`: values as they stand

[services.*.ports[]] A port
target          honoured
published       honoured a port; without it none of a host, or with `mode: host` any free one, also of a range
host_ip         honoured only hosts that have the address answer; of loopback addresses, proxies answer those of IPv4
protocol        honoured `tcp`; `udp` and `sctp` with `mode: host` only
mode            honoured `ingress`: answered by the hosts' proxies; or `host`: bound by the engine on the instance's host; see above
name            warned   it is a comment
app_protocol    warned   it is a comment

[services.*.volumes[]] A mount
type            honoured `bind`, `volume` or `tmpfs`
source          honoured
target          honoured
read_only       honoured
bind            honoured
volume          honoured
tmpfs           honoured
image           refused  engines that Hullmark supports can't mount images
consistency     warned   it is about Docker on a Mac

[services.*.volumes[].bind] Of a bind
propagation     honoured
create_host_path honoured `true` unless said otherwise
selinux         honoured
recursive       refused  what is mounted below the source comes along

[services.*.volumes[].volume] Of a volume
nocopy          honoured
labels          warned   labels stand under the top-level volumes
subpath         refused  engines that Hullmark supports can't mount a part of a volume

[services.*.volumes[].tmpfs] Of a tmpfs
size            honoured
mode            honoured

[services.*.networks.*] A place on a network
aliases         honoured
ipv4_address    honoured the network needs a subnet
ipv6_address    honoured
mac_address     honoured
priority        honoured networks are joined from the highest on
driver_opts     refused  engines that Hullmark supports have none for a place
gw_priority     refused  the network with the highest priority gives the default route
interface_name  refused  the engine names interfaces
link_local_ips  refused  the engine chooses them

[services.*.devices[]] A device
source          honoured
target          honoured
permissions     honoured

[services.*.ulimits.*] A limit
soft            honoured
hard            honoured

[services.*.healthcheck] A health check
test            honoured text runs in the image's shell; a list begins with CMD, CMD-SHELL or NONE
disable         honoured
interval        honoured
timeout         honoured
retries         honoured
start_period    honoured
start_interval  warned   engines before Docker 25 don't know it; interval is used

[services.*.logging] Logging
driver          honoured
options         honoured

[services.*.configs[]] A config in a container
source          honoured
target          honoured without it /SOURCE
uid             honoured a number
gid             honoured a number
mode            honoured 0444 unless said otherwise

[services.*.secrets[]] A secret in a container
source          honoured
target          honoured without it SOURCE; a relative one is below /run/secrets
uid             warned   the file is mounted as it is; set its owner on the host
gid             warned   the file is mounted as it is; set its group on the host
mode            warned   the file is mounted as it is; set its mode on the host

[services.*.deploy] Deployment
mode            honoured `replicated`, `global`, and for one-shots `replicated-job`, `global-job`
replicas        honoured 0 to 5000
labels          honoured labels of the service, not of its containers
resources       honoured
placement       honoured
restart_policy  honoured wins over restart
update_config   honoured how instances are replaced when their containers change
rollback_config honoured the same for going back to a former generation
endpoint_mode   warned   every service with a port has one address, answered by the proxy of each host

[services.*.deploy.resources] Resources
limits          honoured
reservations    honoured what the scheduler keeps free for each instance

[services.*.deploy.resources.limits] Limits
cpus            honoured
memory          honoured at least 6m
pids            honoured

[services.*.deploy.resources.reservations] Reservations
cpus            honoured
memory          honoured
generic_resources refused  use placement.constraints on labels of hosts
devices         refused  Hullmark doesn't hand out GPUs and other devices

[services.*.deploy.placement] Placement
constraints     honoured node.labels.NAME, node.hostname, node.id, node.platform.os, node.platform.arch, node.facts.os, node.facts.kernel, node.facts.engine; there is no node.role
preferences     honoured
max_replicas_per_node honoured

[services.*.deploy.placement.preferences[]] A preference
spread          honoured

[services.*.deploy.restart_policy] Restart policy
condition       honoured `any`, `on-failure` or `none`
delay           honoured doubles with each failure in a row
max_attempts    honoured
window          honoured

[services.*.deploy.update_config] Updates and rollbacks
parallelism     honoured slots that change at a time, 1 if not given; 0: all at once
delay           honoured from when the last one has shown that it is good until the next one begins
failure_action  honoured `pause`, `continue`, and for updates `rollback`; a rollback that fails pauses
monitor         honoured how long an instance has to serve without a break to be good, 5s if not given
max_failure_ratio honoured of the slots of the service; above it `failure_action` comes. 0 if not given: with the first
order           honoured `stop-first` or `start-first`: the former instance goes once its successor is good

[networks.*] A network
name            warned   networks are called APP_NETWORK; to share one, make it yourself and name it with `external: true`
driver          honoured `bridge` only: there is no overlay
driver_opts     honoured
internal        honoured who is on no other network reaches its services and what it `uses`, nothing outside; with Podman only [instances beside it](operations/services.md#internal-networks)
enable_ipv4     honoured `true` only
enable_ipv6     honoured
attachable      warned   it means something in a Swarm only
ipam            honoured
labels          honoured
external        honoured an existing network of the engine, by its name; it is never made or removed

[networks.*.ipam] Addresses of a network
driver          honoured `default` only
config          honoured one entry
options         refused  they are of other drivers

[networks.*.ipam.config[]] A range of addresses
subnet          honoured IPv4
gateway         honoured
ip_range        refused  give the network a subnet of its own
aux_addresses   refused  give the network a subnet of its own

[volumes.*] A volume
name            refused  volumes are called APP_VOLUME; for one that exists already, set `external: true` and its name
driver          honoured
driver_opts     honoured
labels          honoured
external        honoured an existing volume of the engine, by its name; it is never made or removed

[configs.*] A config
file            honoured a regular file of at most 256 KiB in the first Compose file's folder
content         honoured
environment     honoured the variable's value becomes part of the app
name            warned   configs have the name of their key
labels          warned   configs have no labels
external        refused  there is no place for configs outside an app; use `file`
template_driver refused  content is shipped as it is

[secrets.*] A secret
file            honoured an absolute path on the host; its content is not read
name            warned   secrets have the name of their key
labels          warned   secrets have no labels
environment     refused  a secret never leaves its host; put it into a file there and use `file`
external        refused  a secret never leaves its host; put it into a file there and use `file`
driver          refused  put the secret into a file on each host and use `file`
driver_opts     refused  put the secret into a file on each host and use `file`
template_driver refused  content is not read
"""


def _parsed(table: str) -> dict[str, Section]:
    sections = {}
    for block in table.strip().split("\n\n"):
        head, *lines = block.splitlines()
        path, title = head[1:].split("] ", 1)
        extensible = not title.endswith(" -")
        title = title if extensible else title[:-2]
        keys = {}
        for line in lines:
            name, treatment, *why = line.split(None, 2)
            keys[name] = Key(name, Treatment(treatment), why[0] if why else "")
        sections[path] = Section(path, title, keys, extensible)
    return sections


SECTIONS: Mapping[str, Section] = _parsed(_TABLE)
