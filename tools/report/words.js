// SPDX-License-Identifier: MIT
/* Numbers and spans of time, in words. The verdicts come with the data. */
"use strict";

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const fine = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });

function count(n) {
	return whole.format(n);
}

function rate(n) {
	return n === null || n === undefined ? "–" : n >= 100 || n === 0 ? whole.format(n) : fine.format(n);
}

/* Rounded down, as all of copool does: never 100 % when something is missing, nor 0 % when something is there. */
function percent(part, all) {
	if (!all)
		return "–";
	const share = Math.floor((part / all) * 10000 + 1e-6) / 100;
	if (part > 0 && share <= 0)
		return "< 0.01 %";
	return share.toFixed(share > 0 && share < 100 ? 2 : 0) + " %";
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

/* "9.3 ms" where it is that short. */
function milliseconds(ms) {
	return ms < 1000 ? fine.format(ms) + "\u00a0ms" : span(ms);
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

/* As time of day, or with the day where that is another one than `other`'s. */
function timeOfDay(time, other) {
	const text = moment(time);
	return text.slice(0, 10) === moment(other).slice(0, 10) ? text.slice(11) : text;
}

/* The reader's time zone, which all times are in: "Europe/Berlin, UTC+1"; at `time`, which may be in summer. */
function zone(time) {
	const name = Intl.DateTimeFormat().resolvedOptions().timeZone || "local time";
	if (time === undefined || name === "UTC")
		return name;
	const minutes = -new Date(time * 1000).getTimezoneOffset();
	const rest = Math.abs(minutes) % 60;
	return name + ", UTC" + (minutes < 0 ? "−" : "+") + Math.floor(Math.abs(minutes) / 60) + (rest ? ":" + String(rest).padStart(2, "0") : "");
}

/* 12.5 MiB, with a blank where no line breaks. */
function bytes(n) {
	const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
	let unit = 0;
	for (; n >= 1024 && unit + 1 < units.length; unit++)
		n /= 1024;
	return (n >= 100 || Number.isInteger(n) ? whole.format(n) : n.toFixed(1)) + "\u00a0" + units[unit];
}

function creates(counters) {
	return counters.create_local + counters.create_depot + counters.create_new;
}
