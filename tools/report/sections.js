// SPDX-License-Identifier: MIT
/* The parts of the page without charts: settings, stack depths, sums, and two logs compared. */
"use strict";

/* Tiles of [name, value, remark]. */
function tiles(list) {
	return list.map(([name, value, about]) => node("div", {},
		node("dt", {}, name), node("dd", {}, value), ...(about ? [node("dd", {}, about)] : [])));
}

/* ---- settings ---- */

/* What was set, by variable: its name, value, and the file or environment that it comes from. */
function setIn(open) {
	const list = (key) => (Array.isArray(open[key]) ? open[key].map(String) : []);
	const sources = list("sources");
	return new Map(list("settings").map((text, i) => {
		const name = text.split("=", 1)[0];
		return ["COPOOL_" + name.toUpperCase(), { name, value: text.slice(name.length + 1), source: sources[i] || "" }];
	}));
}

function settingsOf(process) {
	const open = process.open || {};
	const rows = [];
	const set = setIn(open);
	const add = (name, value, variable) => {
		const from = set.get(variable);
		rows.push({ cells: [node("div", {}, name, ...(variable ? [node("div", { class: "quiet variable" }, variable)] : [])),
			value, ...(open.settings ? [from ? from.source : variable && "default"] : [])] });
		set.delete(variable);
	};
	const has = (key) => Number.isFinite(open[key]);
	if (open.mode)
		add("Mode", open.mode, "COPOOL_MODE");
	if (open.way)
		add("Way", open.way, "");
	if (has("max_batches") && open.mode !== "observe")
		add("Idle objects that a depot keeps", count(open.max_batches * 16) + " (" + plural(open.max_batches, "batch", "batches") + " of 16)",
			"COPOOL_MAX_BATCHES");
	if (has("decay_ms"))
		add("Given back when unneeded for", open.decay_ms ? span(open.decay_ms) : "never", "COPOOL_DECAY_MS");
	if (has("interval_ms"))
		add("A sample every", span(open.interval_ms), "COPOOL_INTERVAL_MS");
	if (open.confined)
		add("Confined by", open.confined, "");
	if (open.label)
		add("Label", open.label, "COPOOL_LABEL");
	if (open.version)
		add("copool", open.version, "");
	for (const [variable, { name, value }] of [...set])
		add(name, value, variable);
	return rows;
}

function showSettings({ process, pool }) {
	const root = byId("settings");
	const rows = settingsOf(process);
	const changes = process.changes || [];
	const start = pool.time ? pool.time - pool.uptime_ms / 1000 : null;
	root.hidden = !rows.length;
	root.querySelector(".scroll").replaceChildren(table(["setting", "value", "from"].slice(0, rows.length && rows[0].cells.length).map((name) => ({ name, text: true })), rows));
	const after = (change) => (start === null ? "" : span(Math.max(0, (change.time - start) * 1000)));
	root.querySelector(".changes").replaceChildren(...(changes.length ? [
		node("h3", {}, "Changes while it ran"),
		node("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": "Changes" },
			table(["at, " + zone(), "after", "mode", "what"].map((name, i) => ({ name, text: i > 1 })),
				changes.map((change, i) => ({ cells: [moment(change.time), i ? after(change) : "start", change.mode || "", change.detail || ""] })))),
	] : []));
}

/* ---- depths ---- */

/* Bars: the number of stacks for each depth. */
function histogram(depth) {
	const parts = Object.entries(depth).filter(([key]) => /^to_\d+$/.test(key))
		.map(([key, stacks]) => ({ bytes: Number(key.slice(3)), stacks })).sort((a, b) => a.bytes - b.bytes);
	const last = parts.length ? parts[parts.length - 1].bytes : 4096;
	if (depth.beyond)
		parts.push({ bytes: null, last, stacks: depth.beyond });
	const most = parts.reduce((a, part) => Math.max(a, part.stacks), 1);
	const all = parts.reduce((a, part) => a + part.stacks, 0);
	return node("div", { class: "depths" }, ...parts.flatMap((part) => {
		const bar = node("span", { class: "bar" });
		bar.style.width = Math.max(0.5, (part.stacks / most) * 100) + "%";
		return [node("span", {}, part.bytes ? "up to " + bytes(part.bytes) : "deeper"), node("span", {}, bar),
			node("span", { class: "number" }, count(part.stacks) + " (" + percent(part.stacks, all) + ")")];
	}));
}

function depthCard(depth) {
	const figure = (name, key, about) => (depth[key] ? [[name, bytes(depth[key]), about]] : []);
	return node("figure", {},
		node("figcaption", {}, node("h3", {}, depth.pool), node("p", {}, depth.said + ".")),
		node("dl", { class: "tiles small" }, ...tiles([
			...(depth.recommended_bytes ? [["Recommended", bytes(depth.recommended_bytes), "twice the deepest, or more"]] : []),
			...figure("Has", "stack_bytes", "each, without its guard page"), ...figure("Deepest", "deepest"), ...figure("99.9 %", "p999", "need no more"),
			...figure("99 %", "p99", "need no more"), ...figure("Half of them", "p50", "need no more"), ...figure("Mean", "mean"),
			["Stacks", count(depth.stacks || 0), "that were measured"],
		])),
		histogram(depth));
}

function showDepths({ process }) {
	const depths = process.depths || [];
	byId("depths").hidden = !depths.length;
	byId("depths").querySelector(".cards").replaceChildren(...depths.map(depthCard));
}

/* ---- sums ---- */

/* The memory of so many objects of a pool, in bytes; null if it is unknown. */
function heldBytes(pool, objects) {
	return pool.held && pool.held.how !== "unknown" ? objects * pool.held.bytes : null;
}

function emptySum(program, label) {
	return { program, label, processes: 0, creates: 0, missed: 0, saved: 0, live: 0, pooled: 0, bytes: null, guessed: false,
		about: false, words: new Map() };
}

function addPool(sum, pool) {
	const held = heldBytes(pool, pool.pooled);
	sum.saved += pool.calls_saved;
	sum.about = sum.about || (pool.pool === "qemu-coroutine" && pool.calls_saved > 0);
	if (held !== null) {
		sum.bytes += held;
		sum.guessed = sum.guessed || (pool.held.how === "guessed" && pool.pooled > 0);
	}
	if (pool.verdict.beneath)
		return;
	sum.creates += creates(pool);
	sum.missed += pool.create_new;
	sum.live += pool.live;
	sum.pooled += pool.pooled;
	if (pool.verdict.word)
		sum.words.set(pool.verdict.word, (sum.words.get(pool.verdict.word) || 0) + 1);
}

/* One for all processes, one for each program, and one for each label where a program has several. */
function sumUp(processes) {
	const all = emptySum("all", "");
	const programs = new Map();
	for (const process of processes) {
		const open = process.open || {};
		const name = open.program || "(unknown)";
		const label = open.label || "";
		if (!programs.has(name))
			programs.set(name, { sum: emptySum(name, ""), labels: new Map() });
		const program = programs.get(name);
		if (!program.labels.has(label))
			program.labels.set(label, emptySum(name, label));
		for (const sum of [all, program.sum, program.labels.get(label)]) {
			sum.processes++;
			process.pools.forEach((pool) => addPool(sum, pool));
		}
	}
	return { all, programs: [...programs.values()].sort((a, b) => b.sum.creates - a.sum.creates) };
}

const SUMS_SHOWN = 200;

function sumCells(name, sum) {
	return [name, count(sum.processes), count(sum.creates), percent(sum.creates - sum.missed, sum.creates), count(sum.missed),
		sum.saved ? (sum.about ? "about " : "") + count(sum.saved) : "–", count(sum.live), count(sum.pooled),
		sum.bytes === null ? "–" : (sum.guessed ? "~ " : "") + bytes(sum.bytes),
		[...sum.words].map(([word, number]) => count(number) + " × " + word).join(", ") || "–"];
}

function showSums() {
	const busy = data.processes.filter((process) => process.pools.length);
	const root = byId("totals");
	root.hidden = busy.length < 2;
	if (root.hidden)
		return;
	const { all, programs } = sumUp(busy);
	const rows = [];
	for (const { sum, labels } of programs) {
		const only = labels.size === 1 ? [...labels.keys()][0] : "";
		rows.push({ attributes: { class: "sum" }, cells: sumCells(sum.program + (only ? " " + only : ""), sum) });
		if (labels.size > 1)
			[...labels.values()].sort((a, b) => b.creates - a.creates).forEach((part) =>
				rows.push({ attributes: { class: "part" }, cells: sumCells(part.label || "(no label)", part) }));
	}
	const shown = rows.slice(0, SUMS_SHOWN);
	if (rows.length > SUMS_SHOWN)
		shown.push({ cells: ["and " + count(rows.length - SUMS_SHOWN) + " more", ...Array(9).fill("")] });
	if (programs.length > 1)
		shown.push({ attributes: { class: "sum" }, cells: sumCells("all", all) });
	const names = ["program, label", "processes", "creates", "hits", "missed", "calls saved", "alive", "idle", "idle memory", "verdicts"];
	root.querySelector(".scroll").replaceChildren(table(names.map((name, i) => ({ name, text: i === 0 || i === 9 })), shown));
}

/* ---- two logs ---- */

/* "−98.7 %", "3.2 times as many". */
function change(before, after) {
	if (before === undefined || after === undefined || !before)
		return "";
	if (before === after)
		return "same";
	const ratio = after / before;
	return ratio >= 2 ? fine.format(ratio) + " times" : (ratio < 1 ? "−" : "+") + fine.format(Math.abs(1 - ratio) * 100) + " %";
}

function baselineRows({ first, second }) {
	const rows = [];
	const add = (name, key, format, isPlain) => {
		if (first[key] === undefined && second[key] === undefined)
			return;
		const value = (sum) => (sum[key] === undefined ? "–" : format(sum[key], sum));
		rows.push({ cells: [name, value(first), value(second), isPlain ? "" : change(first[key], second[key])] });
	};
	const share = (sum) => percent(sum.misses, sum.creates);
	add("Mode", "mode", (mode) => mode || "?", true);
	add("Processes", "processes", count, true);
	add("Creates", "creates", count);
	add("Misses", "misses", count);
	rows.push({ cells: ["Misses of creates", share(first), share(second), ""] });
	add("Most at once", "peak_objects", count);
	add("Memory of these, about", "most_bytes", bytes);
	add("Idle memory in the end, about", "idle_bytes", bytes);
	add("System calls saved" + (first.calls_about || second.calls_about ? ", about" : ""), "calls_saved", count, true);
	add("CPU time for stacks, about", "cpu_ms", milliseconds);
	add("Time that it ran", "uptime_ms", span);
	return rows;
}

function showBaseline() {
	const root = byId("baseline");
	root.hidden = !data.baseline;
	if (root.hidden)
		return;
	const { programs, notes, logs } = data.baseline;
	const headings = ["", "before", "now", "change"].map((name, i) => ({ name, text: i === 0 }));
	root.querySelector(".which").textContent = "Before: " + logs.join(", ") + ". Now: " + data.logs.join(", ") + ".";
	root.querySelector(".programs").replaceChildren(...programs.map((program) => node("article", {},
		node("h3", {}, program.program || "a program"),
		node("div", { class: "verdict " + program.verdict.grade },
			node("p", {}, node("strong", {}, program.verdict.word + "."), " ", program.verdict.text)),
		node("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": "Two logs of " + program.program },
			table(headings, baselineRows(program))),
		...(program.notes.length ? [node("h4", {}, "What cannot be compared"),
			node("ul", {}, ...program.notes.map((text) => node("li", {}, text)))] : []))));
	root.querySelector(".alone").replaceChildren(...notes.map((text) => node("li", {}, text)));
	if (!programs.length && !notes.length)
		root.querySelector(".programs").append(node("p", {}, "These logs have nothing that can be compared."));
}
