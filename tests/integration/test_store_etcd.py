"""The store's contract on real etcd, as Debian 12 and Debian 13 have it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hullmark.store.etcd import EtcdStore
from hullmark.store.gateway import Access
from hullmark.store.protocol import Delete
from tests.integration.etcd import PASSWORD, USER, VERSIONS, EtcdCluster
from tests.unit.store.contract import StoreContract


def access(cluster: EtcdCluster, *endpoints: str, password: str = PASSWORD) -> Access:
    user = USER if cluster.users else ""
    given = endpoints or tuple(cluster.endpoints)
    if not cluster.tls:
        return Access(given, user=user, password=lambda: password)
    files = (str(cluster.ca), str(cluster.cert), str(cluster.key))
    return Access(given, *files, user, lambda: password)


@pytest.fixture(scope="module", params=sorted(VERSIONS))
def etcd(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[EtcdCluster]:
    folder = tmp_path_factory.mktemp("etcd")
    with EtcdCluster(folder, request.param, rights="") as cluster:
        yield cluster


class TestEtcd(StoreContract):
    @pytest.fixture
    def store(self, etcd: EtcdCluster) -> Iterator[EtcdStore]:
        store = EtcdStore(access(etcd), scope="")
        left = [Delete(entry.key) for entry in store.list("").entries]
        for start in range(0, len(left), 100):
            store.commit((), left[start : start + 100])
        yield store
        store.close()
