"""For tests: what every blob backend has to fulfil, and wrappers that fail or stop a backend where a test says.

A backend of your own is checked by subclassing `BlobBackendConformance`; pytest and pytest-asyncio (in its auto mode) run it:

    class TestMyBackend(BlobBackendConformance):
        @pytest.fixture
        async def backend(self):
            backend = MyBackend(...)
            yield backend
            await backend.close()
"""

from ckptstore.testing.conformance import BlobBackendConformance
from ckptstore.testing.fault_injection import FailingBackend, Pause, PausingBackend

__all__ = ["BlobBackendConformance", "FailingBackend", "Pause", "PausingBackend"]
