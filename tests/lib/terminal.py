#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Runs a command in a pseudo-terminal, as a person in front of it would: terminal.py ROWS COLUMNS COMMAND...

What to do is read from standard input, a line each:
  see REGEX      wait until the screen shows it, at most 60 seconds
  not REGEX      the screen does not show it now
  type KEYS      with the escapes of a Python string
  size ROWS COLUMNS
  threads N      wait until the command has so many
  signal NAME    to the command
  do COMMAND     by the shell, elsewhere
  hang           the terminal goes away
  stop           it takes nothing more, as after ctrl-s
  end STATUS     wait until the command has ended so, at most 60 seconds
The screen is printed when something is not as it should be; then the status is 1. At the end the terminal must be as
it was: echoing, with the cursor shown and the first screen back.
"""
import fcntl, os, pty, re, select, signal, struct, sys, termios, time
import pyte

PATIENCE = 60  # on a machine that has other things to do


class Terminal:
    def __init__(self, rows, columns, command):
        self.command = command
        self.bytes = b""
        self.screen = pyte.Screen(columns, rows)
        self.stream = pyte.ByteStream(self.screen)
        master, slave = pty.openpty()
        self.fd, self.slave = master, slave
        self.set_size(rows, columns)
        self.before = termios.tcgetattr(slave)
        self.status = None
        self.is_stopped = False
        self.pid = os.fork()
        if self.pid == 0:
            os.setsid()
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
            for fd in (0, 1, 2):
                os.dup2(slave, fd)
            os.closerange(3, 100)
            os.execvp(command[0], command)

    def set_size(self, rows, columns):
        self.screen.resize(rows, columns)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def pump(self):
        ready, _, _ = select.select([self.fd], [], [], 0.02)
        if ready:
            got = os.read(self.fd, 65536)
            self.bytes += got
            self.stream.feed(got)

    def text(self):
        return "\n".join(self.screen.display)

    def wait(self, what, condition):
        end = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > end:
                self.fail("in vain: " + what)
            if self.fd >= 0:
                self.pump()

    def has_ended(self):
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
        return self.status is not None

    def fail(self, why):
        print(why)
        print(self.text())
        if not self.has_ended():
            os.kill(self.pid, signal.SIGKILL)
        sys.exit(1)

    def end(self, status):
        self.wait("the end", self.has_ended)
        if self.status != status:
            self.fail("status %d" % self.status)
        if self.fd < 0:
            return
        self.pump()
        if self.is_stopped:
            termios.tcflow(self.slave, termios.TCOON)
        if termios.tcgetattr(self.slave) != self.before:
            self.fail("the terminal's settings are not what they were")
        if self.is_stopped:
            return  # it could not take the words
        if self.bytes.rfind(b"\x1b[?25h") < self.bytes.rfind(b"\x1b[?25l"):
            self.fail("the cursor is hidden")
        if self.bytes.rfind(b"\x1b[?1049l") < self.bytes.rfind(b"\x1b[?1049h"):
            self.fail("the other screen is not back")

    def do(self, line):
        word, _, rest = line.partition(" ")
        if word == "see":
            self.wait(line, lambda: re.search(rest, self.text(), re.M))
        elif word == "not":
            if re.search(rest, self.text(), re.M):
                self.fail(line)
        elif word == "type":
            os.write(self.fd, rest.encode().decode("unicode_escape").encode())
        elif word == "size":
            self.set_size(*map(int, rest.split()))
        elif word == "threads":
            self.wait(line, lambda: len(os.listdir("/proc/%d/task" % self.pid)) == int(rest))
        elif word == "signal":
            os.kill(self.pid, getattr(signal, "SIG" + rest))
        elif word == "do":
            os.system(rest)
        elif word == "stop":
            termios.tcflow(self.slave, termios.TCOOFF)
            self.is_stopped = True
        elif word == "hang":
            os.close(self.slave)
            os.close(self.fd)
            self.fd = -1
        elif word == "end":
            self.end(int(rest))
        else:
            sys.exit("what is %r?" % line)


terminal = Terminal(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
for line in sys.stdin.read().splitlines():
    terminal.do(line)
