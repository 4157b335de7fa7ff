# One run's figures, made of its log. Given: $pool.
#
# The load has begun with the first sample that has seen one create in a hundred. The peak has been seen with the
# first sample that has 95 % of the most that are alive at any. Samples are rare, and a higher peak may come: what is
# new after that and makes more objects than there ever were is needed. What is beyond that is made again.

def creates: .create_local + .create_depot + .create_new;
def percent($part; $whole): if $whole == 0 then 0 else 100 * $part / $whole | (. * 1000 | round) / 1000 end;

[inputs] as $records
| [$records[] | select((.type == "sample" or .type == "final") and .pool == $pool)] as $samples
| $samples[-1] as $final
| if $final.type != "final" then error("the log has no final record of \($pool)") else . end
| ($final | creates) as $creates
| first($samples[] | select(creates >= $creates / 100)) as $begin
| (last($samples[] | select(.uptime_ms <= $begin.uptime_ms + 5000 and .type == "sample"))) as $later
| ($final.uptime_ms > $begin.uptime_ms + 6000) as $has_later
| ([$samples[].live] | max) as $most_live
| first($samples[] | select(.live >= 0.95 * $most_live)) as $seen
| ($final.create_new - $seen.create_new) as $late
| ($final.peak_objects - $seen.peak_objects) as $higher
| {
	ready_s: ($begin.uptime_ms / 1000),
	load_s: (($final.uptime_ms - $begin.uptime_ms) / 1000),
	creates: $creates,
	new: $final.create_new,
	new_percent: percent($final.create_new; $creates),
	new_after_5_s: (if $has_later then $final.create_new - $later.create_new else null end),
	new_after_5_s_percent:
		(if $has_later then percent($final.create_new - $later.create_new; $creates - ($later | creates)) else null end),
	peak_seen_s: (($seen.uptime_ms - $begin.uptime_ms) / 1000),
	new_after_peak: $late,
	new_for_higher_peak: $higher,
	made_again: ([$late - $higher, 0] | max),
	peak_objects: $final.peak_objects,
	peak_live: $most_live,
	trimmed: $final.trimmed,
	threads: $final.threads,
	decay_ms: ([$records[] | select(.type == "open") | .decay_ms] | last),
	is_taken_over: ([$records[] | select(.type == "open" or .type == "way") | .way] | last | IN("ending", "switch")),
	is_within: ($final.peak_objects <= 273),
	is_steady: ($late <= $higher)
}
