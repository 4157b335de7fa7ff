# SPDX-License-Identifier: MIT
# fish completion for copool. The Makefile puts what shim/settings.h says in the place of the line SETTINGS.

complete -c copool -f
complete -c copool -n __fish_use_subcommand -a run -d 'run a program with its coroutines pooled'
complete -c copool -n __fish_use_subcommand -a compare -d 'run a program without and with the pool, in turn'
complete -c copool -n __fish_use_subcommand -a prune -d 'remove the Prometheus files of processes that are gone'
complete -c copool -n __fish_use_subcommand -a recipe -d 'say how a kind of service is started with the library'
complete -c copool -n __fish_use_subcommand -a origins -d 'show the call stacks of misses and leaks'
complete -c copool -n __fish_use_subcommand -a record -d 'write a log of a running process that writes none'
complete -c copool -n __fish_use_subcommand -a report -d 'make a page with charts of statistics logs'
complete -c copool -n __fish_use_subcommand -a plot -d 'plot a pool of a statistics log with gnuplot'
complete -c copool -n __fish_use_subcommand -a doctor -d 'say whether copool can help a program, and what is in the way'
complete -c copool -n __fish_use_subcommand -a observe -d 'say what copool would do for a running program'
complete -c copool -n __fish_use_subcommand -a show -d 'show what a log, or a running process, says'
complete -c copool -n __fish_use_subcommand -a top -d 'watch a running process, or a log'
complete -c copool -n __fish_use_subcommand -a ps -d 'list all processes that have the library'
complete -c copool -n __fish_use_subcommand -a set -d 'change the settings of a running process'
complete -c copool -n __fish_use_subcommand -a settings -d 'show the settings that a program gets, and from where'
complete -c copool -n __fish_use_subcommand -a trim -d 'make a running process give back what is idle'
complete -c copool -n __fish_use_subcommand -a off -d 'stop a running process from pooling'
complete -c copool -n __fish_use_subcommand -a on -d 'make it pool again'
complete -c copool -n __fish_use_subcommand -a advise -d 'find better settings for the demand in a log'
complete -c copool -n __fish_use_subcommand -a help -d 'say more about one verb'
complete -c copool -n __fish_use_subcommand -l help -d 'say what copool does'
complete -c copool -n __fish_use_subcommand -l version -d 'say which version this is'

# SETTINGS

set -l run '__fish_seen_subcommand_from run'
complete -c copool -n $run -l observe -d 'only count'
complete -c copool -n $run -l summary -d 'one line at the end says what was pooled'

set -l compare '__fish_seen_subcommand_from compare'
complete -c copool -n $compare -l runs -s n -x -d 'so many runs of each kind'
complete -c copool -n $compare -l json -s j -d 'write one JSON object'
complete -c copool -n $compare -l quiet -s q -d 'do not show what the program says'

set -l start '__fish_seen_subcommand_from run compare'
complete -c copool -n $start -a '(__fish_complete_subcommand)'

set -l doctor '__fish_seen_subcommand_from doctor'
complete -c copool -n $doctor -l user -s u -x -a '(__fish_complete_users)' -d 'who is to start it and to write the log'
complete -c copool -n $doctor -l log -s l -r -d 'check whether this log could be written'
complete -c copool -n $doctor -l library -s L -r -d 'a library that the program loads later'
complete -c copool -n $doctor -l json -s j -d 'write one JSON object'
complete -c copool -n $doctor -a '(__fish_complete_command)'

set -l observe '__fish_seen_subcommand_from observe'
complete -c copool -n $observe -l for -s s -x -d 'count for so many seconds'
complete -c copool -n $observe -l max-cost -s c -x -d 'stop early when the probes cost more of a processor, in percent'
complete -c copool -n $observe -l json -s j -d 'write one JSON object'
complete -c copool -n $observe -f -a '(__fish_complete_pids)'

set -l show '__fish_seen_subcommand_from show'
complete -c copool -n $show -l json -s j -d 'write one JSON object'
complete -c copool -n $show -l csv -s c -d 'write comma-separated values'
complete -c copool -n $show -l pid -s p -x -a '(__fish_complete_pids)' -d 'look into this process'
complete -c copool -n $show -F -a '(__fish_complete_pids)'

set -l origins '__fish_seen_subcommand_from origins'
complete -c copool -n $origins -l folded -s f -d 'write folded stacks'
complete -c copool -n $origins -l json -s j -d 'write one JSON object'
complete -c copool -n $origins -l leaks -s l -d 'only what was alive at exit'
complete -c copool -n $origins -l top -s n -x -d 'at most so many'
complete -c copool -n $origins -F

set -l prune '__fish_seen_subcommand_from prune'
complete -c copool -n $prune -l dry-run -s n -d 'only say what would be removed'
complete -c copool -n $prune -l older -s o -x -d 'leave files alone that were written lately, in seconds'
complete -c copool -n $prune -a '(__fish_complete_directories)'

set -l settings '__fish_seen_subcommand_from settings'
complete -c copool -n $settings -l json -s j -d 'write one JSON object'
complete -c copool -n $settings -l label -s l -x -d 'of a process with this label'
complete -c copool -n $settings -a '(__fish_complete_command)'

set -l recipe '__fish_seen_subcommand_from recipe'
complete -c copool -n $recipe -a '(copool recipe 2>/dev/null | string split -f 1 " ")'

set -l record '__fish_seen_subcommand_from record'
complete -c copool -n $record -l output -s o -r -F -d 'where the log goes'
complete -c copool -n $record -l append -s a -d 'add to the log'
complete -c copool -n $record -a '(__fish_complete_pids)'

set -l watch '__fish_seen_subcommand_from record report'
complete -c copool -n $watch -l for -s f -x -d 'end after so many seconds'
complete -c copool -n $watch -l interval -s i -x -d 'milliseconds from sample to sample'

set -l report '__fish_seen_subcommand_from report'
complete -c copool -n $report -l output -s o -r -F -d 'where the page goes'
complete -c copool -n $report -l baseline -s b -r -F -d 'a log of before, to compare with'
complete -c copool -n $report -F -a '(__fish_complete_pids)'

set -l plot '__fish_seen_subcommand_from plot'
complete -c copool -n $plot -l output -s o -r -F -d 'where the picture goes: .svg, .png or .pdf'
complete -c copool -n $plot -l pool -s p -x -d 'the pool to draw'
complete -c copool -n $plot -l pid -s P -x -d 'the process to draw'
complete -c copool -n $plot -l script -s s -d 'print the script for gnuplot'
complete -c copool -n $plot -F

set -l top '__fish_seen_subcommand_from top'
complete -c copool -n $top -l delay -s d -x -d 'look this often, in seconds'
complete -c copool -n $top -l count -s n -x -d 'end after so many looks'
complete -c copool -n $top -l pid -s p -x -a '(__fish_complete_pids)' -d 'look into this process'
complete -c copool -n $top -l plain -s b -d 'write plain lines'
complete -c copool -n $top -l json -s j -d 'write one JSON object for each look'
complete -c copool -n $top -F -a '(__fish_complete_pids)'

set -l ps '__fish_seen_subcommand_from ps'
complete -c copool -n $ps -l all -s a -d 'also those that have nothing to pool'
complete -c copool -n $ps -l sums -s s -d 'one line for each program'
complete -c copool -n $ps -l delay -s d -x -d 'look twice, so far apart, in seconds'
complete -c copool -n $ps -l json -s j -d 'write one JSON object'

complete -c copool -n '__fish_seen_subcommand_from set trim off on prune record' -l json -s j -d 'write one JSON object'
complete -c copool -n '__fish_seen_subcommand_from set trim off on' -a '(__fish_complete_pids)'
complete -c copool -n '__fish_seen_subcommand_from set' -a "$live off=0 off=1"

set -l advise '__fish_seen_subcommand_from advise'
complete -c copool -n $advise -l json -s j -d 'write one JSON object'
complete -c copool -n $advise -l decay -s d -x -d 'also try this decay, in milliseconds'
complete -c copool -n $advise -l max-batches -s b -x -d 'also try this cap, in batches of 16'
complete -c copool -n $advise -F

complete -c copool -n '__fish_seen_subcommand_from help' -a 'run compare doctor observe show top ps set settings trim off on record report plot origins advise prune recipe'
