#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A storage daemon under copool that serves fio while everything is done to it that QMP can do.

fio writes and verifies over NBD. At the same time, in random order: snapshots that are committed back, mirrors that the
disk moves to, backups, jobs that pause and go on, I/O threads that come and go with disks of their own, and reads of
a disk one sector of which is bad. In the end all bytes of the disk are read through the daemon and from its file, and
compared; and of the coroutines only those live that lived before.

Prints what it did as JSON. Status 1 and a line for what does not hold.
"""

import json
import os
import pathlib
import socket
import sys
import time

from soak import DISK, WAIT_S, Failure, Soak, main, same_bytes, wait_until


class Qmp:
    """One conversation; events are read as they come and kept by what they are about."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(WAIT_S)
        self.socket.connect(path)
        self.stream = self.socket.makefile("rw")
        self.status = {}  # of jobs
        self.read()
        self("qmp_capabilities")

    def read(self):
        line = self.stream.readline()
        if not line:
            raise Failure("the daemon has closed its monitor")
        message = json.loads(line)
        if message.get("event") == "JOB_STATUS_CHANGE":
            self.status[message["data"]["id"]] = message["data"]["status"]
        return message

    def __call__(self, command, **arguments):
        request = {"execute": command, "arguments": {k.replace("_", "-"): v for k, v in arguments.items()}}
        self.stream.write(json.dumps(request))
        self.stream.flush()
        while True:
            answer = self.read()
            if "return" in answer:
                return answer["return"]
            if "error" in answer:
                raise Failure(f"{command}: {answer['error']['desc']}")

    def reaches(self, job, status):
        """Reads events until the job has come to that status."""
        while self.status.get(job) != status:
            self.read()

    def finish(self, job):
        """Waits for the end of a job, which must be a good one."""
        self.reaches(job, "concluded")
        report = [one for one in self("query-jobs") if one["id"] == job]
        self("job-dismiss", id=job)
        if "error" in report[0]:
            raise Failure(f"{job}: {report[0]['error']}")


class Storage(Soak):
    node = file = "disk0"

    def uri(self, export):
        return f"nbd+unix:///{export}?socket={os.getcwd()}/nbd"

    def start_host(self):
        with open(self.file, "wb") as file:
            file.write(self.random.randbytes(DISK))
        self.daemon = self.start_pooled(
            ["qemu-storage-daemon",
             "--blockdev", f"driver=file,node-name={self.node},filename={self.file}",
             "--blockdev", f"driver=null-co,node-name=well,size={1 << 30}",
             "--blockdev", "driver=blkdebug,node-name=ill,image=well,inject-error.0.event=none"
                           ",inject-error.0.iotype=read,inject-error.0.sector=8,inject-error.0.errno=5",
             "--nbd-server", "addr.type=unix,addr.path=nbd,max-connections=0",
             "--export", f"type=nbd,id=disk,node-name={self.node},name=disk,writable=on",
             "--export", "type=nbd,id=ill,node-name=ill,name=ill,writable=on",
             "--chardev", "socket,id=qmp,path=qmp,server=on,wait=off", "--monitor", "chardev=qmp"])
        wait_until("the daemon's monitor", pathlib.Path("qmp").exists)
        self.qmp = Qmp("qmp")

    # ---- what is done to it ----

    def new_name(self, kind):
        self.count(kind)
        return f"{kind}{self.done[kind]}"

    def maybe_pause(self, job):
        if self.random.random() < 0.5 or self.qmp.status.get(job) not in ("running", "ready"):
            return
        try:
            self.qmp("job-pause", id=job)
            time.sleep(self.random.random() / 5)
            self.qmp("job-resume", id=job)
            self.count("pause")
        except Failure:
            self.count("pause too late")  # it was about to end

    def snapshot(self):
        """An overlay on top of the disk, committed back into it a moment later."""
        name = self.new_name("snapshot")
        self.run("qemu-img", "create", "-q", "-f", "qcow2", name, str(DISK))
        self.qmp("blockdev-add", driver="qcow2", node_name=name, file={"driver": "file", "filename": name},
                 backing=None)
        self.qmp("blockdev-snapshot", node=self.node, overlay=name)
        time.sleep(self.random.random())
        self.qmp("block-commit", job_id=name, device=name, auto_dismiss=False)
        self.maybe_pause(name)
        self.qmp.reaches(name, "ready")
        self.qmp("job-complete", id=name)
        self.qmp.finish(name)
        self.qmp("blockdev-del", node_name=name)
        os.unlink(name)

    def mirror(self):
        """Copies the disk while it is written to, and then goes on with the copy."""
        name = self.new_name("mirror")
        with open(name, "wb") as file:
            file.truncate(DISK)
        self.qmp("blockdev-add", driver="file", node_name=name, filename=name)
        self.qmp("blockdev-mirror", job_id=name, device=self.node, target=name, sync="full", auto_dismiss=False)
        self.maybe_pause(name)
        self.qmp.reaches(name, "ready")
        self.qmp("job-complete", id=name)
        self.qmp.finish(name)
        self.qmp("blockdev-del", node_name=self.node)
        os.unlink(self.file)
        self.node = self.file = name

    def backup(self):
        name = self.new_name("backup")
        with open(name, "wb") as file:
            file.truncate(DISK)
        self.qmp("blockdev-add", driver="file", node_name=name, filename=name)
        self.qmp("blockdev-backup", job_id=name, device=self.node, target=name, sync="full", auto_dismiss=False)
        self.maybe_pause(name)
        self.qmp.finish(name)
        self.qmp("blockdev-del", node_name=name)
        os.unlink(name)

    def thread(self):
        """A disk on an I/O thread of its own, that go away while a client is busy."""
        name = self.new_name("thread")
        self.qmp("object-add", qom_type="iothread", id=name)
        self.qmp("blockdev-add", driver="null-aio", node_name=name, size=1 << 30, latency_ns=1000000)
        self.qmp("block-export-add", type="nbd", id=name, node_name=name, name=name, iothread=name)
        client = self.start(["qemu-img", "bench", "-c", "1000000000", "-d", "16", "-f", "raw", self.uri(name)])
        time.sleep(0.2 + self.random.random())
        self.qmp("block-export-del", id=name, mode="hard")
        self.end(client, expected=None)
        wait_until(f"{name} to be unused", lambda: self.drops(name))
        self.qmp("object-del", id=name)

    def drops(self, name):
        try:
            self.qmp("blockdev-del", node_name=name)
        except Failure:
            return False
        return True

    def errors(self):
        """Reads of a disk that has a bad sector: that fails, and the others do not."""
        self.count("error")
        self.run("qemu-io", "-f", "raw", self.uri("ill"), "-c", "read 0 4k", "-c", "read 8k 64k")
        for _ in range(8):
            self.run("qemu-io", "-f", "raw", self.uri("ill"), "-c", "read 4k 4k", expected=(1,))

    # ---- the whole ----

    def cycle(self, seconds):
        fio = self.start_fio(self.uri("disk"), seconds)
        acts = [self.snapshot, self.mirror, self.backup, self.thread, self.errors]
        self.random.shuffle(acts)
        end = time.monotonic() + seconds - 1
        for act in acts:
            act()
        while time.monotonic() < end:
            self.random.choice(acts)()
        self.end_fio(fio, seconds)

    def end_host(self):
        self.run("qemu-img", "convert", "-f", "raw", "-O", "raw", self.uri("disk"), "read")
        self.qmp("quit")
        self.end(self.daemon)
        if not same_bytes("read", self.file):
            raise Failure("the daemon does not read what is in its file")


if __name__ == "__main__":
    sys.exit(main(Storage, __doc__))
