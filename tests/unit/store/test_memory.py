from __future__ import annotations

import pytest

from hullmark.store.memory import MemoryStore
from tests.unit.store.contract import StoreContract


class TestMemory(StoreContract):
    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore()
