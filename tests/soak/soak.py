# SPDX-License-Identifier: MIT
"""What the long runs have in common: a host under copool, its clients, and what its log says of the pool."""

import argparse
import hashlib
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

MIB = 1 << 20
DISK = 64 * MIB
WAIT_S = 120


class Failure(Exception):
    pass


def wait_until(what, condition):
    """Until condition() is true; in vain after WAIT_S."""
    end = time.monotonic() + WAIT_S
    while not condition():
        if time.monotonic() > end:
            raise Failure(f"waited in vain for: {what}")
        time.sleep(0.02)


class Soak:
    """One host, and a cycle of load that is repeated; `cycle` and `start_host` are the subclass's."""

    pool = "qemu-coroutine"  # what its name in the log begins with

    def __init__(self, arguments):
        self.arguments = arguments
        self.random = random.Random(arguments.seed)
        self.done = {}
        self.running = []

    # ---- processes ----

    def start(self, command, **variables):
        # A file, since a pipe that nobody reads stops a process that writes much.
        output = tempfile.TemporaryFile("w+", dir=".")
        process = subprocess.Popen(command, env={**os.environ, **variables}, stdin=subprocess.DEVNULL,
                                   stdout=output, stderr=subprocess.STDOUT)
        process.output = output
        self.running.append(process)
        return process

    def start_pooled(self, command):
        return self.start(command, LD_PRELOAD=self.arguments.library, COPOOL_LOG="log.jsonl",
                          COPOOL_INTERVAL_MS="100")

    def end(self, process, expected=(0,), seconds=WAIT_S):
        """What it printed, when it has ended as expected; None: whatever its status."""
        process.wait(timeout=seconds)
        self.running.remove(process)
        with process.output as file:
            file.seek(0)
            output = file.read()
        if expected is not None and process.returncode not in expected:
            raise Failure(f"{process.args}: status {process.returncode}: {output.strip()[-2000:]}")
        return output

    def run(self, *command, expected=(0,)):
        return self.end(self.start(command), expected)

    def count(self, what, number=1):
        self.done[what] = self.done.get(what, 0) + number

    # ---- fio, which verifies what it has written as it goes, and all of it in the end ----

    def start_fio(self, uri, seconds):
        return self.start(
            ["fio", "--name=soak", "--ioengine=nbd", f"--uri={uri}", "--thread", "--numjobs=4",
             f"--size={DISK // 4}", f"--offset_increment={DISK // 4}", "--rw=randrw", "--bsrange=512-64k",
             "--iodepth=16", "--verify=crc32c", "--verify_fatal=1", "--verify_backlog=512", "--do_verify=1",
             "--time_based", f"--runtime={seconds}", f"--randseed={self.random.randrange(1 << 30)}",
             "--group_reporting", "--output-format=json"])

    def end_fio(self, fio, seconds):
        output = self.end(fio, seconds=WAIT_S + seconds)
        job = json.loads(output[output.index("{"):])["jobs"][0]
        if job["error"] != 0:
            raise Failure(f"fio: error {job['error']}")
        self.count("MiB written", job["write"]["io_bytes"] // MIB)
        self.count("MiB read and verified", job["read"]["io_bytes"] // MIB)

    # ---- what is known of the pool ----

    def records(self, kind):
        with open("log.jsonl", encoding="utf-8") as log:
            lines = [json.loads(line) for line in log if line.endswith("\n")]
        return [one for one in lines if one["type"] == kind and one.get("pool", "").startswith(self.pool)]

    def settled(self):
        """The number of live objects when nobody is served: the same in three samples that are new."""
        first = len(self.records("sample"))
        last = []

        def is_settled():
            last[:] = [one["live"] for one in self.records("sample")[first:]][-3:]
            return len(last) == 3 and len(set(last)) == 1

        wait_until("a number of live objects that stays", is_settled)
        return last[0]

    # ---- the whole ----

    def soak(self):
        end = time.monotonic() + self.arguments.seconds
        self.start_host()
        before = self.settled()
        cycles = 0
        while cycles == 0 or time.monotonic() < end:
            self.cycle(round(max(2, min(self.arguments.cycle, end - time.monotonic()))))
            cycles += 1
            live = self.settled()
            if live != before:
                raise Failure(f"{before} objects lived before, {live} after cycle {cycles}")
        self.end_host()
        final = self.records("final")[-1]
        creates = final["create_local"] + final["create_depot"] + final["create_new"]
        destroys = final["destroy_local"] + final["destroy_depot"] + final["destroy_delete"]
        made = final["create_new"] - final["destroy_delete"] - final["trimmed"]
        if creates != destroys + final["live"] or made != final["pooled"] + final["live"]:
            raise Failure(f"the counters do not balance: {final}")
        return {"seconds": round(self.arguments.seconds), "cycles": cycles, **self.done, "live at rest": before,
                "creates": creates, "of them new": final["create_new"], "most at once": final["peak_objects"]}

    def stop(self):
        for process in self.running:
            process.send_signal(signal.SIGKILL)
            process.wait()


def same_bytes(*names):
    return len({hashlib.sha256(pathlib.Path(name).read_bytes()).digest() for name in names}) == 1


def main(kind, description):
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--cycle", type=float, default=20, help="seconds of load before all is looked at")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("library", help="libcopool.so")
    parser.add_argument("folder", help="an empty one, for all files; some 300 MiB")
    arguments = parser.parse_args()
    arguments.library = os.path.abspath(arguments.library)
    os.chdir(arguments.folder)
    soak = kind(arguments)
    try:
        print(json.dumps({"seed": arguments.seed, **soak.soak()}))
    except (Failure, OSError, subprocess.TimeoutExpired) as failure:
        print(f"seed {arguments.seed}, after {soak.done}: {failure}", file=sys.stderr)
        return 1
    finally:
        soak.stop()
    return 0
