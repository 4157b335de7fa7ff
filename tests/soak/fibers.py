#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""PHP under copool as a server that answers each request in a fiber of its own; its memory stays what it was.

Prints what it did as JSON. Status 1 and a line for what does not hold.
"""

import os
import pathlib
import socket
import sys

from soak import Failure, Soak, main, wait_until

HERE = os.path.dirname(os.path.abspath(__file__))


class Fibers(Soak):
    pool = "stack "

    def start_host(self):
        self.server = self.start_pooled(["php", "-n", f"{HERE}/server.php", "socket"])
        wait_until("the server's socket", pathlib.Path("socket").exists)
        self.first_kib = None
        self.ask(1)

    def resident_kib(self):
        for line in pathlib.Path(f"/proc/{self.server.pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
        raise Failure("the server has gone")

    def ask(self, seconds):
        return int(self.end(self.start(["php", "-n", f"{HERE}/client.php", "socket", str(seconds),
                                        str(self.random.randrange(1 << 30))])))

    def cycle(self, seconds):
        self.count("requests", self.ask(seconds))
        now = self.resident_kib()
        if self.first_kib is None:
            self.first_kib = self.done["resident KiB first"] = now
        self.done["resident KiB last"] = now
        if now > self.first_kib * 1.05 + 512:
            raise Failure(f"the server had {self.first_kib} KiB, and has {now} KiB after {self.done['requests']} requests")

    def end_host(self):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect("socket")
            client.sendall(b"quit\n")
            self.end(self.server)


if __name__ == "__main__":
    sys.exit(main(Fibers, __doc__))
