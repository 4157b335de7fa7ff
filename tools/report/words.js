/* Numbers, spans of time and verdicts, in words. */
"use strict";

/* How long after a pool's first create misses count as those of the start. */
const START_MS = 5000;

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const fine = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });

function count(n) {
	return whole.format(n);
}

function rate(n) {
	return n === null || n === undefined ? "–" : n >= 100 || n === 0 ? whole.format(n) : fine.format(n);
}

/* Never 100 % when something is missing, nor 0 % when something is there. */
function percent(part, all) {
	if (!all)
		return "–";
	const share = (part / all) * 100;
	if (part && share < 0.01)
		return "< 0.01 %";
	if (part < all && share > 99.99)
		return "> 99.99 %";
	return share.toFixed(share === 0 || share === 100 ? 0 : 2) + " %";
}

function plural(n, one, many) {
	return (n === 1 ? "1 " + one : (n === 0 ? "no" : count(n)) + " " + many);
}

/* "2 min 5 s", with blanks where no line breaks; with more than one unit only where the second says something. */
function span(ms) {
	const units = [[86400000, "d"], [3600000, "h"], [60000, "min"]];
	if (ms < 60000)
		return (ms < 10000 ? fine.format(ms / 1000) : Math.round(ms / 1000)) + "\u00a0s";
	for (const [i, [size, name]] of units.entries()) {
		if (ms < size)
			continue;
		const [next, nextName] = units[i + 1] || [1000, "s"];
		const rest = Math.floor((ms % size) / next);
		return Math.floor(ms / size) + "\u00a0" + name + (rest ? "\u00a0" + rest + "\u00a0" + nextName : "");
	}
	return "";
}

/* Time on an axis that runs over `range` seconds: 0:05, 1:02:03, 3d 4h. */
function clock(seconds, range) {
	const pad = (n) => String(n).padStart(2, "0");
	const sign = seconds < 0 ? "-" : "";
	const s = Math.abs(seconds);
	if (range < 10)
		return sign + fine.format(s) + " s";
	if (range >= 3 * 86400)
		return sign + Math.floor(s / 86400) + "d" + (s % 86400 ? " " + Math.floor((s % 86400) / 3600) + "h" : "");
	const part = Math.floor(s);
	const hours = Math.floor(part / 3600);
	const minutes = Math.floor((part % 3600) / 60);
	return sign + (hours ? hours + ":" + pad(minutes) : minutes) + ":" + pad(part % 60);
}

function moment(time) {
	const date = new Date(time * 1000);
	if (!time || isNaN(date))
		return "";
	const two = (n) => String(n).padStart(2, "0");
	return date.getFullYear() + "-" + two(date.getMonth() + 1) + "-" + two(date.getDate()) + " " +
		two(date.getHours()) + ":" + two(date.getMinutes()) + ":" + two(date.getSeconds());
}

function creates(counters) {
	return counters.create_local + counters.create_depot + counters.create_new;
}

/* What had been counted when the start was over: {ms, creates, misses}; null when the run was too short for one. */
function startOf(series) {
	if (!series || !series.from_zero)
		return null;
	const i = series.uptime_ms.findIndex((ms) => ms - series.begin_ms >= START_MS);
	if (i < 0 || i === series.uptime_ms.length - 1)
		return null;
	return {
		ms: series.uptime_ms[i] - series.begin_ms,
		creates: series.create_local[i] + series.create_depot[i] + series.create_new[i],
		misses: series.create_new[i],
	};
}

/* Stacks of coroutines that another pool keeps: they are made once for each, and that is no fault. */
function isBeneath(process, pool) {
	return /^stack \d+ qemu( |$)/.test(pool.pool) && process.pools.some((other) => other.pool === "qemu-coroutine");
}

/* {grade, word, text, more}: the verdict on a pool, for people who have not met the words yet. */
function verdict(process, pool, series) {
	const all = creates(pool);
	const misses = pool.create_new;
	const start = startOf(series);
	if (!all)
		return { grade: "", word: "", text: "Nothing was created from this pool.", more: [] };
	if (isBeneath(process, pool))
		return {
			grade: "", word: "",
			text: "These are the stacks of the pooled coroutines: " +
				plural(misses, "was", "were") + " made by a system call, " + count(all - misses) + " recycled.",
			more: ["A coroutine keeps its stack while it waits in the pool, so few creates are expected here; " +
				"see the pool qemu-coroutine for what the program asked for."],
		};
	const text = "Of " + plural(all, "create", "creates") + ", " +
		(misses ? count(all - misses) + " (" + percent(all - misses, all) + ")" : "all") +
		" were served from the pool. " + (misses ? count(misses) + " missed and fell back to the program's own function" +
			(start ? ": " + lateWords(misses, start) : "") + "." : "");
	return { ...grade(all, misses, start), text, more: reasons(pool, misses, start) };
}

function lateWords(misses, start) {
	const late = misses - start.misses;
	const seconds = span(start.ms);
	if (!late)
		return "all of them in the first " + seconds + ", none after that";
	return (start.misses ? count(start.misses) : "none") + " in the first " + seconds + ", " + count(late) + " after that";
}

/* By the share of misses once the start is over, where there was more than a start. */
function grade(all, misses, start) {
	const settled = start && all > start.creates;
	const share = settled ? (misses - start.misses) / (all - start.creates) : misses / all;
	if (share < 0.01)
		return { grade: "good", word: "Good." };
	return share < 0.1 ? { grade: "fair", word: "Fair." } : { grade: "poor", word: "Poor." };
}

function reasons(pool, misses, start) {
	const more = [];
	if (pool.trimmed)
		more.push(plural(pool.trimmed, "idle object was", "idle objects were") +
			" given back to the system in quiet times" +
			(start && misses > start.misses ? "; a burst after that makes them anew. " +
				"A larger COPOOL_DECAY_MS keeps them longer." : "."));
	if (pool.destroy_delete)
		more.push(plural(pool.destroy_delete, "object was", "objects were") +
			" destroyed because the depot was at its cap (COPOOL_MAX_BATCHES).");
	return more;
}
