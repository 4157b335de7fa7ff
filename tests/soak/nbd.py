#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""qemu-nbd under copool that serves fio while it is stopped and goes on, and other clients come, go and die.

In the end all bytes of the disk are read through it and from its file, and compared; and of the coroutines only those
live that lived before. Prints what it did as JSON. Status 1 and a line for what does not hold.
"""

import os
import pathlib
import signal
import sys
import time

from soak import DISK, Failure, Soak, main, same_bytes, wait_until


class Nbd(Soak):
    def uri(self):
        return f"nbd+unix:///disk?socket={os.getcwd()}/nbd"

    def start_host(self):
        with open("disk", "wb") as file:
            file.write(self.random.randbytes(DISK))
        self.server = self.start_pooled(["qemu-nbd", "--persistent", "--shared=16", "--export-name=disk", "--format=raw",
                                         f"--socket={os.getcwd()}/nbd", "--cache=writeback", "--aio=threads", "disk"])
        wait_until("the server's socket", pathlib.Path("nbd").exists)

    def pause(self):
        self.server.send_signal(signal.SIGSTOP)
        time.sleep(self.random.random())
        self.server.send_signal(signal.SIGCONT)
        self.count("pause")

    def client(self):
        """One that reads much at once, and has gone before it has an answer."""
        client = self.start(["qemu-img", "bench", "-c", "1000000000", "-d", "16", "-f", "raw", self.uri()])
        time.sleep(self.random.random() / 2)
        client.send_signal(signal.SIGKILL)
        self.end(client, expected=None)
        self.count("client")

    def cycle(self, seconds):
        fio = self.start_fio(self.uri(), seconds)
        end = time.monotonic() + seconds - 1
        self.pause()
        self.client()
        while time.monotonic() < end:
            self.random.choice([self.pause, self.client])()
        self.end_fio(fio, seconds)

    def end_host(self):
        self.run("qemu-img", "convert", "-f", "raw", "-O", "raw", self.uri(), "read")
        self.server.terminate()
        self.end(self.server)
        if not same_bytes("read", "disk"):
            raise Failure("the server does not read what is in its file")


if __name__ == "__main__":
    sys.exit(main(Nbd, __doc__))
