#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# What verbs that take long show of it: one line on a terminal, which is gone at the end, and nothing elsewhere.
# shellcheck disable=SC2030,SC2031 # each test is a process of its own
# shellcheck disable=SC2154 # start sets pid
# shellcheck disable=SC2016 # what is in single quotes is for another shell

load lib/helper

setup() {
	/usr/bin/python3 -c 'import pyte' 2>/dev/null || lacks "there is no pyte for python3"
	requires_program steps
	cd "$BATS_TEST_TMPDIR" || return
	export COPOOL_CREATE=box_make/0 COPOOL_DESTROY=box_drop
	# A log that does not end before there is the file `enough`.
	cat >endless.py <<-'END'
		import os, time
		open_ = '{"type":"open","time":1,"pid":7,"format":1,"version":"0","program":"p","host":"qemu","mode":"pool"}\n'
		line = '{"type":"sample","time":1,"pid":7,"uptime_ms":%d,"pool":"q","create_local":%d,"create_depot":0,"create_new":1}\n'
		os.write(1, open_.encode())
		n = 0
		while not os.path.exists("enough"):
		    n += 100
		    text = "".join(line % (i, i) for i in range(n, n + 100)).encode()
		    try:
		        while text:
		            text = text[os.write(1, text):]
		    except BrokenPipeError:
		        break
		    if n == 50000:  # later than a line would come
		        open("many", "w").close()
		    time.sleep(0.002)
	END
}

terminal() { # ROWS COLUMNS COMMAND...: what is done is standard input; see lib/terminal.py
	LC_ALL=C.UTF-8 run timeout 300 /usr/bin/python3 "$TESTS/lib/terminal.py" "$@"
	echo "$output"
	[[ $status -eq 0 ]]
}

# reads_endless VERB ARGUMENT...: a verb that reads a long log.
reads_endless() {
	rm -f enough
	TERM=xterm terminal 24 80 sh -c 'python3 endless.py | "$@"; echo over; read -r key' sh "$COPOOL" "$@" <<-END
		see ^reading, [0-9]+ MiB so far: -
		do touch enough
		see ${sees-^over}
		not reading, [0-9]
		type \\n
		end 0
	END
}

@test "progress: of a long log there is a line that goes away, from each verb that reads one" {
	sees='pool +creates' reads_endless show -
	sees=origins reads_endless origins -
	sees='no advice' reads_endless advise -
	reads_endless report -o page.html -
	reads_endless plot --script -
}

@test "progress: a signal leaves no line behind, and ends the verb" {
	TERM=xterm terminal 24 80 bash -c 'exec "$1" show - < <(exec python3 endless.py)' bash "$COPOOL" <<-END
		see ^reading, [0-9]+ MiB so far: -
		signal INT
		end -2
		not reading
	END
	start env -u COPOOL_LOG LD_PRELOAD="$COPOOL_SO" "$PROGRAMS/steps" use 1000 touch used wait go
	wait_until 10 test -e used
	TERM=xterm terminal 24 80 "$COPOOL" record -i 50 -o log "$pid" <<-END
		see ^[0-9]+ s, [0-9]+ samples; ctrl-c ends it
		type \\x03
		end 0
		see samples of process $pid in log
		not ctrl-c ends it
	END
}

@test "progress: what waits says how long" {
	TERM=xterm terminal 24 80 sh -c '"$1" ps -d 2 >list; echo "$?" done; read -r key' sh "$COPOOL" <<-END
		see ^[01] of 2 s
		see ^0 done
		not of 2 s
		type \\n
		end 0
	END
	TERM=xterm terminal 24 80 sh -c '"$1" compare -n 1 -- "$2" touch began wait enough; read -r key' sh "$COPOOL" "$PROGRAMS/steps" <<-END
		see ^run 1 of 2: [0-9]+ s
		do touch enough
		see exit status
		not run [12] of 2
		type \\n
		end 0
	END
}

@test "progress: there is none where standard error is no terminal, or one that cannot erase a line" {
	python3 endless.py | "$COPOOL" show - >table 2>errors &
	local reader=$!
	watch_over "$reader"
	wait_until 60 test -e many
	touch enough
	ended "$reader"
	[[ ! -s errors && -s table ]]
	rm enough many
	TERM=dumb terminal 24 80 sh -c 'python3 endless.py | "$1" show - >table; echo over; read -r key' sh "$COPOOL" <<-END
		do until test -e many; do sleep 0.05; done
		not reading
		do touch enough
		see over
		not reading
		type \\n
		end 0
	END
}
