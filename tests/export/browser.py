"""A headless Chromium, steered over a pipe with the DevTools protocol."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import shlex
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PATIENCE = 60.0
ARGUMENTS = (
    *("--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--no-first-run"),
    *("--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking"),
    *("--disable-component-update", "--disable-default-apps", "--disable-sync", "--mute-audio"),
)


def find_browser() -> str | None:
    """The program, if there is one."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


def _pipe() -> tuple[int, int]:
    """A pipe whose descriptors are none of those that the browser expects."""
    low = os.pipe()
    high = fcntl.fcntl(low[0], fcntl.F_DUPFD, 10), fcntl.fcntl(low[1], fcntl.F_DUPFD, 10)
    for each in low:
        os.close(each)
    for each in high:
        os.set_inheritable(each, False)
    return high


class Browser:
    """A browser with one page.

    Attributes:
        events: what the page has reported: requests, messages on its console, exceptions.
    """

    def __init__(self, program: str, profile: Path) -> None:
        read_end, self._to_browser = _pipe()
        self._from_browser, write_end = _pipe()
        command = shlex.join([program, *ARGUMENTS, f"--user-data-dir={profile}", "about:blank"])
        self._process = subprocess.Popen(
            ["bash", "-c", f"exec {command} 3<&{read_end} 4>&{write_end}"],
            pass_fds=(read_end, write_end),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(read_end)
        os.close(write_end)
        self._count = 0
        self._received = b""
        self._session: str | None = None
        self.events: list[dict[str, Any]] = []

    def __enter__(self) -> Browser:
        target = next(
            each
            for each in self.call("Target.getTargets")["targetInfos"]
            if each["type"] == "page"
        )
        attached = self.call(
            "Target.attachToTarget", targetId=target["targetId"], flatten=True
        )
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._to_browser)
        self._process.terminate()
        self._process.wait(PATIENCE)
        os.close(self._from_browser)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the DevTools protocol; its result."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._to_browser, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._count:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result
            if "method" in answer:
                self.events.append(answer)

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._received:
            block = os.read(self._from_browser, 1 << 16)
            assert block, "the browser has ended"
            self._received += block
        line, _, self._received = self._received.partition(b"\0")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def open(self, page: Path) -> None:
        """Open a page from the disk."""
        self.events.clear()
        self.call("Page.navigate", url=page.resolve().as_uri())

    def run(self, program: str) -> Any:
        """The value of an expression in the page, or of the promise that it gives."""
        answer = self.call(
            "Runtime.evaluate", expression=program, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait_for(self, condition: str) -> None:
        """Wait until an expression is true."""
        end = time.monotonic() + PATIENCE
        while not self.run(condition):
            assert time.monotonic() < end, f"not so: {condition}"
            time.sleep(0.02)

    def screenshot(self, path: Path, width: int, dark: bool) -> None:
        """The page as it looks on a screen of this width."""
        self.resize(width, dark)
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))

    def resize(self, width: int, dark: bool) -> None:
        """Show the page on a screen of this width, in light or dark colours."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=1000, deviceScaleFactor=1, mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def of_kind(self, method: str) -> list[dict[str, Any]]:
        """The parameters of the events of one kind."""
        return [each["params"] for each in self.events if each["method"] == method]
