#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Types words into a real shell on a pseudo-terminal, presses Tab twice at once, and says what the screen shows then:
completions.py bash|zsh|fish FOLDER WORDS. FOLDER has the completions, and the command is at the head of PATH.
"""
import fcntl, os, pty, select, struct, sys, termios, time
import pyte

shell, folder, words = sys.argv[1:4]
PROMPT = "ready> "
starts = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], "PS1='%s'; source '%s/copool.bash'; bind 'set bell-style none'" % (PROMPT, folder)),
    "zsh": (["zsh", "-f", "-i"],
        "fpath=('%s' $fpath); autoload -Uz compinit; compinit -u -D; unsetopt beep; PS1='%s'" % (folder, PROMPT)),
    "fish": (["fish", "--no-config", "-i"],
        "function fish_greeting; end; source '%s/copool.fish'; function fish_prompt; echo -n '%s'; end" % (folder, PROMPT)),
}
command, start = starts[shell]
screen = pyte.Screen(160, 50)
stream = pyte.ByteStream(screen)
os.environ.update(TERM="xterm", LC_ALL="C.UTF-8", HOME=os.environ["BATS_TEST_TMPDIR"])
pid, fd = pty.fork()
if pid == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 160, 0, 0))
    os.execvp(command[0], command)


def text():
    return "\n".join(line.rstrip() for line in screen.display)


def pump(until, patience=60, quiet=0.7):
    """Until the screen is as it should be, and then until the shell is quiet."""
    end, last = time.monotonic() + patience, None
    while time.monotonic() < end:
        if select.select([fd], [], [], 0.05)[0]:
            data = os.read(fd, 65536)
            # fish asks the terminal who it is.
            if b"\x1b[c" in data or b"\x1b[0c" in data:
                os.write(fd, b"\x1b[?1;2c")
            stream.feed(data)
            last = time.monotonic()
        elif until() and last is not None and time.monotonic() - last > quiet:
            return
    print(text())
    sys.exit("in vain")


def cursor_line():
    return screen.display[screen.cursor.y]


pump(lambda: text().strip() != "", quiet=0.2)
os.write(fd, (start + "\n").encode())
pump(lambda: cursor_line().startswith(PROMPT) and cursor_line().strip() == PROMPT.strip(), quiet=0.3)
os.write(fd, b"\x0c")  # a clear screen
pump(lambda: cursor_line().strip() == PROMPT.strip(), quiet=0.2)
os.write(fd, words.encode())
pump(lambda: words.strip() in text(), quiet=0.2)
os.write(fd, b"\t\t") # bash lists at the second only
pump(lambda: True)
print(text().rstrip())
os.kill(pid, 9)
