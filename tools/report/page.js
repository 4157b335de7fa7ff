// SPDX-License-Identifier: MIT
/* Fills the page from the data in it. All text from the log goes in as text, never as markup. */
"use strict";

const data = JSON.parse(document.getElementById("data").textContent);

const byId = (id) => document.getElementById(id);

function node(name, attributes, ...children) {
	const element = document.createElement(name);
	for (const [key, value] of Object.entries(attributes))
		element.setAttribute(key, value);
	element.append(...children.map((child) => (child instanceof Node ? child : String(child))));
	return element;
}

/* All pools, with where they are from: the busiest process' busiest first. */
const pools = data.processes.flatMap((process, p) => process.pools.map((pool, i) => ({
	process, pool,
	series: data.series.find((series) => series.process === p && series.pool === i),
})));

function nameOf(process) {
	const { program, label } = process.open || {};
	return (program || "a program") + (label ? " " + label : "") + " [" + process.pid + "]";
}

function uptimeOf(process) {
	return process.pools.reduce((most, pool) => Math.max(most, pool.uptime_ms || 0), 0);
}

function table(headings, rows) {
	const cell = (name, text, i, attributes) => node(name, { ...attributes, "data-name": headings[i].name,
		...(headings[i].text ? { class: "text" } : {}) }, text);
	return node("table", { class: "numbers" },
		node("thead", {}, node("tr", {}, ...headings.map((heading, i) => cell("th", heading.name, i, { scope: "col" })))),
		node("tbody", {}, ...rows.map(({ cells, attributes }) => node("tr", attributes || {},
			...cells.map((text, i) => (i ? cell("td", text, i) : cell("th", text, i, { scope: "row" })))))));
}

function showHeader({ process, pool, series }) {
	const open = process.open || {};
	const uptime = uptimeOf(process);
	const last = pool.time;
	const words = [];
	words.push(open.host ? "host " + open.host + (open.mode && open.mode !== "pool" ? " (" + open.mode + ")" : "") : "host unknown");
	words.push((pool.type === "final" ? "ran for " : "seen for ") + span(uptime));
	if (last)
		words.push(moment(last - uptime / 1000) + " to " + timeOfDay(last, last - uptime / 1000) + " (" + zone(last) + ")");
	if (open.ppid)
		words.push("forked by [" + open.ppid + "]");
	if (series && series.stride > 1)
		words.push("a point for every " + series.stride + " samples");
	byId("title").textContent = nameOf(process);
	byId("subtitle").textContent = words.join(" · ");
	byId("detail").textContent = open.detail || "";
	document.title = nameOf(process) + " – copool report";
}

function showVerdict({ pool }) {
	const said = pool.verdict;
	const root = byId("verdict");
	root.className = "verdict " + said.grade;
	root.replaceChildren(node("p", {}, ...(said.word ? [node("strong", {}, said.word + "."), " "] : []), said.text),
		...said.more.map((text) => node("p", {}, text)));
}

function showFigures({ pool }) {
	const all = creates(pool);
	const figures = [
		["Creates", count(all), "of the program"],
		...(pool.verdict.beneath ? [] : [["Hits", percent(all - pool.create_new, all), "served from the pool"]]),
		["Misses", count(pool.create_new), pool.verdict.excess ? count(pool.verdict.excess) + " more than existed at once" :
			"made by the program's own function"],
		["Most at once", count(pool.peak_objects), "objects that existed"],
		["Alive", count(pool.live), "in the end; at most " + count(pool.peak_live) + " in a sample"],
		["Idle", count(pool.pooled), "in the end, in the pool"],
		...(heldBytes(pool, 1) === null ? [] : [["Idle memory", (pool.held.how === "guessed" ? "~ " : "") + bytes(heldBytes(pool, pool.pooled)),
			"about, in the end: " + bytes(heldBytes(pool, 1)) + " each" + (pool.held.how === "guessed" ? ", guessed" : "")]]),
		["Given back", count(pool.trimmed), "to the system, unneeded"],
		["Threads", count(pool.threads), "with a cache, in the end"],
	];
	if (pool.calls_saved)
		figures.push(["System calls saved", count(pool.calls_saved),
			pool.pool === "qemu-coroutine" ? "about: QEMU's own pool would have needed them" : ""]);
	if (pool.maps_saved)
		figures.push(["Guard pages", count(pool.maps_saved), "that take no memory map, in the end"]);
	byId("figures").replaceChildren(...tiles(figures));
}

function showSamples(c) {
	const details = byId("samples");
	const place = details.querySelector(".scroll");
	const fill = () => {
		if (!details.open || place.firstChild || !c)
			return;
		const names = ["after", "cache /s", "depot /s", "missed /s", "missed", "alive", "idle", "most so far", "given back /s", ...(c.held.some((value) => value !== null) ? ["idle memory"] : []), "time, " + zone()];
		const share = (value) => (value === null ? "–" : fine.format(value) + " %");
		const rows = c.seconds.slice(1).map((seconds, row) => {
			const i = row + 1;
			return { cells: [clock(seconds, c.fineness < 10 ? c.fineness : Math.max(10, c.seconds[c.seconds.length - 1])), rate(c.local[i]), rate(c.depot[i]),
				rate(c.missed[i]), share(c.share[i]), rate(c.live[i]), rate(c.pooled[i]), rate(c.peak[i]), rate(c.trimmed[i]),
				...(names.length > 10 ? [c.held[i] === null ? "–" : bytes(c.held[i])] : []), moment(c.time[i])] };
		});
		place.append(table(names.map((name) => ({ name })), rows));
	};
	place.replaceChildren();
	details.hidden = !c;
	details.ontoggle = fill;
	fill();
}

const ORIGINS_SHOWN = 100;

let flame = null; /* the flame graph that is on the page */

function showOrigins({ process, pool }) {
	const all = data.origins.filter((origin) => origin.pid === process.pid && origin.pool === pool.pool && origin.count > 0)
		.sort((a, b) => b.count - a.count);
	const total = all.reduce((sum, origin) => sum + origin.count, 0);
	const root = byId("origins");
	const unit = all.some((origin) => origin.every > 1) ? "misses, estimated" : "misses";
	root.hidden = !all.length;
	root.querySelector(".flame").replaceChildren();
	flame = !all.length ? null : drawFlame(root.querySelector(".flame"), root.querySelector(".pointed"), all, pool.pool,
		(value, whole) => count(value) + " " + unit + " (" + percent(value, whole) + ")");
	const rows = all.slice(0, ORIGINS_SHOWN).map((origin) => {
		const bar = node("span", { class: "bar" });
		bar.style.width = Math.max(2, (origin.count / all[0].count) * 100) + "%";
		const [first, ...callers] = origin.frames;
		const stack = node("div", {}, first === undefined ? "?" : first,
			...(callers.length ? [node("span", { class: "quiet" }, " ← " + callers.join(" ← "))] : []));
		return { cells: [stack, count(origin.count), node("div", { class: "share" }, percent(origin.count, total), bar)] };
	});
	if (all.length > ORIGINS_SHOWN)
		rows.push({ cells: ["and " + count(all.length - ORIGINS_SHOWN) + " more", "", ""] });
	root.querySelector(".scroll").replaceChildren(
		table([{ name: "call stack", text: true }, { name: unit }, { name: "share" }], rows));
}

const POOLS_SHOWN = 500;

function showPools() {
	const headings = ["pool", "creates", "hits", "missed", "alive", "idle", "most", "given back", "threads"]
		.map((name, i) => ({ name, text: i === 0 }));
	const row = (each, i) => {
		const { process, pool } = each;
		const all = creates(pool);
		const button = node("button", { type: "button" }, nameOf(process) + ": " + pool.pool);
		button.addEventListener("click", () => {
			choose(i);
			scrollTo(0, 0);
		});
		return {
			attributes: each === chosen ? { "aria-current": "true" } : {},
			cells: [button, count(all), pool.verdict.beneath ? "–" : percent(all - pool.create_new, all), ...["create_new", "live", "pooled",
				"peak_objects", "trimmed", "threads"].map((name) => count(pool[name]))],
		};
	};
	byId("pools").hidden = pools.length < 2;
	if (pools.length < 2)
		return;
	const rows = pools.slice(0, POOLS_SHOWN).map(row);
	if (pools.length > POOLS_SHOWN)
		rows.push({ cells: ["and " + count(pools.length - POOLS_SHOWN) + " more; all can be chosen above", ...Array(8).fill("")] });
	byId("pools").querySelector(".scroll").replaceChildren(table(headings, rows));
}

function notes() {
	const list = data.warnings.map((warning) => "Warning of [" + warning.pid + "]: " + warning.text +
		(warning.count > 1 ? " (" + count(warning.count) + " times)" : ""));
	if (data.idle_processes)
		list.push(plural(data.idle_processes, "process", "processes") + " had nothing to pool.");
	data.bad.forEach((bad) => list.push("Bad line: " + bad.where + ": " + bad.what));
	if (data.bad_lines > data.bad.length)
		list.push("Bad lines: " + count(data.bad_lines) + " in all.");
	if (data.cut_off)
		list.push("The last line of a log is cut off.");
	if (data.format > data.format_known)
		list.push("Written by a newer copool (format " + data.format + "); what this one does not know is not shown.");
	if (data.unknown_records)
		list.push(plural(data.unknown_records, "record of an unknown type was", "records of unknown types were") + " skipped.");
	if (data.disorder)
		list.push(plural(data.disorder, "sample", "samples") + " out of order: in the figures, but not in the charts.");
	if (data.left_out)
		list.push(plural(data.left_out, "record was", "records were") + " left out, for there are too many processes, pools, warnings or origins.");
	data.unread.forEach((text) => list.push("Not read whole: " + text));
	return list;
}

let chosen = null;

function choose(i) {
	chosen = pools[i];
	byId("pool").value = String(i);
	showHeader(chosen);
	showVerdict(chosen);
	showFigures(chosen);
	showSamples(drawCharts(byId("charts"), chosen));
	showDepths(chosen);
	showOrigins(chosen);
	showSettings(chosen);
	showPools();
}

/* Busy pools of the program's own objects first. */
function weight({ pool }) {
	return pool.verdict.beneath ? 0 : creates(pool);
}

function fillChoice() {
	let group = null;
	let last = null;
	pools.forEach(({ process, pool }, i) => {
		if (process !== last)
			byId("pool").append(group = node("optgroup", { label: nameOf(process) }));
		last = process;
		group.append(node("option", { value: i }, pool.pool + " (" + plural(creates(pool), "create", "creates") + ")"));
	});
	byId("choice").hidden = pools.length < 2;
	byId("pool").addEventListener("change", (event) => choose(Number(event.target.value)));
}

function start() {
	const said = notes();
	byId("notes").hidden = !said.length;
	byId("notes").querySelector("ul").append(...said.map((text) => node("li", {}, text)));
	byId("made").textContent = "Made by copool " + data.version + " on " + moment(data.made) + " (" + zone(data.made) + ") from " +
		data.logs.join(", ") + ". Charts by uPlot, MIT licence" +
		(data.origins.length ? "; flame graph by d3-flame-graph, Apache License 2.0, and d3, ISC licence." : ".");
	byId("zone").textContent = zone(data.made);
	fillChoice();
	showBaseline();
	showSums();
	if (!pools.length) {
		byId("verdict").append(node("p", {}, "No process in the log has counters yet."));
		document.querySelectorAll("main > section:has(#figures), main > section:has(#charts)").forEach((section) => { section.hidden = true; });
		return;
	}
	choose(pools.reduce((best, each, i) => (weight(each) > weight(pools[best]) ? i : best), 0));
	new ResizeObserver(fitCharts).observe(byId("charts"));
	matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () =>
		repaintCharts(byId("charts"), chosen));
	new ResizeObserver(() => flame && flame.draw()).observe(byId("origins"));
	byId("whole").addEventListener("click", () => flame.reset());
}

start();
