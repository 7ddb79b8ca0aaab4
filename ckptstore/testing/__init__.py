"""For users' tests: a conformance suite for blob backends, and wrappers that make a backend fail or pause.

To check your own backend, subclass `BlobBackendConformance`; pytest and pytest-asyncio (in its auto mode) run it:

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
