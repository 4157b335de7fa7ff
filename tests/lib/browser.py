#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""browser.py PAGE.html SCRIPT.js [SCREENSHOT.png] [WIDTH] [light|dark|light,dark]

Opens a page in headless Chromium, by the DevTools protocol over a pipe, runs SCRIPT in it and prints one JSON
object: what the script's last expression is (`value`), and what the page complained of (`complaints`: errors and
warnings of the console, exceptions, requests for anything but the page). With `light,dark` the user changes from one to the other
when the page is there. Ends within a minute, come what may.
"""

import base64
import json
import os
import pathlib
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

LIMIT_S = 60


class Browser:
    def __init__(self, folder):
        to_browser, self.write_fd = os.pipe()
        self.read_fd, from_browser = os.pipe()

        def wire():
            # Over numbers that are free first: one may be the other's target.
            a, b = os.dup2(to_browser, 103), os.dup2(from_browser, 104)
            os.dup2(a, 3)
            os.dup2(b, 4)

        self.process = subprocess.Popen(
            ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
             "--remote-debugging-pipe", "--no-first-run", "--hide-scrollbars",
             f"--user-data-dir={folder}/profile", "about:blank"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, close_fds=False,
            preexec_fn=wire, start_new_session=True, env={**os.environ, "HOME": folder, "TMPDIR": folder})
        os.close(to_browser)
        os.close(from_browser)
        self.deadline = time.monotonic() + LIMIT_S
        self.buffer = b""
        self.number = 0
        self.events = []

    def receive(self):
        while b"\0" not in self.buffer:
            left = self.deadline - time.monotonic()
            if left <= 0 or not select.select([self.read_fd], [], [], left)[0]:
                raise TimeoutError("the browser did not answer")
            chunk = os.read(self.read_fd, 1 << 16)
            if not chunk:
                raise EOFError("the browser has ended")
            self.buffer += chunk
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, session=None, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self.write_fd, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.receive()
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def wait_for(self, method):
        while not any(event.get("method") == method for event in self.events):
            self.events.append(self.receive())

    def stop(self):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def complaints(events, page):
    for event in events:
        method, about = event.get("method"), event.get("params", {})
        if method == "Runtime.consoleAPICalled" and about["type"] in ("error", "warning", "assert"):
            yield "console: " + str([argument.get("value") for argument in about["args"]])
        elif method == "Runtime.exceptionThrown":
            yield "exception: " + json.dumps(about["exceptionDetails"].get("exception", {}).get("description"))
        elif method == "Log.entryAdded" and about["entry"]["level"] in ("error", "warning"):
            yield "log: " + about["entry"]["text"]
        elif method == "Network.requestWillBeSent":
            url = about["request"]["url"]
            if url != page and not url.startswith("data:"):
                yield "request: " + url


def visit(browser, page, script, screenshot, width, scheme):
    target = browser.call("Target.createTarget", url="about:blank")["targetId"]
    session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def call(method, **parameters):
        return browser.call(method, session, **parameters)

    for domain in ("Page", "Runtime", "Log", "Network"):
        call(domain + ".enable")
    call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600)
    schemes = [[{"name": "prefers-color-scheme", "value": value}] for value in scheme.split(",")]
    call("Emulation.setEmulatedMedia", features=schemes[0])
    browser.events.clear()
    call("Page.navigate", url=page)
    browser.wait_for("Page.loadEventFired")
    settle = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
    call("Runtime.evaluate", expression=settle, awaitPromise=True)
    call("Emulation.setEmulatedMedia", features=schemes[-1])
    call("Runtime.evaluate", expression=settle, awaitPromise=True)
    result = call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
    call("Runtime.evaluate", expression=settle, awaitPromise=True)
    if screenshot:
        height = call("Page.getLayoutMetrics")["cssContentSize"]["height"]
        clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
        picture = call("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        pathlib.Path(screenshot).write_bytes(base64.b64decode(picture["data"]))
    said = list(complaints(browser.events, page))
    if "exceptionDetails" in result:
        said.append("script: " + json.dumps(result["exceptionDetails"]))
    return {"value": result["result"].get("value"), "complaints": said}


def main():
    page = pathlib.Path(sys.argv[1]).resolve().as_uri()
    script = pathlib.Path(sys.argv[2]).read_text()
    screenshot = sys.argv[3] if len(sys.argv) > 3 else ""
    width = int(sys.argv[4]) if len(sys.argv) > 4 else 1280
    scheme = sys.argv[5] if len(sys.argv) > 5 else "light"
    folder = tempfile.mkdtemp()
    browser = Browser(folder)
    try:
        print(json.dumps(visit(browser, page, script, screenshot, width, scheme), indent=1))
    finally:
        browser.stop()
        shutil.rmtree(folder, ignore_errors=True)


main()
