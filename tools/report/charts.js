// SPDX-License-Identifier: MIT
/* Five charts of one series, drawn by uPlot, with one cursor. A sample's value covers the interval before it: all are steps. */
"use strict";

function colour(name) {
	return getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
}

/* What happened between each point and the one before, a second. The first value stands for the time before. */
function rates(series, name) {
	const values = series[name];
	const result = values.map((value, i) => {
		const before = i ? values[i - 1] : series.from_zero ? 0 : null;
		const ms = series.uptime_ms[i] - (i ? series.uptime_ms[i - 1] : series.begin_ms);
		return before === null || ms <= 0 ? null : (Math.max(0, value - before) * 1000) / ms;
	});
	return [result.length ? result[0] : null, ...result];
}

/* A state at each point, and none before the first. */
function states(series, name) {
	return [series.from_zero ? 0 : null, ...series[name]];
}

function add(a, b) {
	return a.map((value, i) => (value === null || b[i] === null ? null : value + b[i]));
}

/* The columns that the charts and the table are made of; one row more than there are points, the beginning. */
function columns({ process, pool, series }) {
	const local = rates(series, "create_local");
	const depot = rates(series, "create_depot");
	const missed = rates(series, "create_new");
	const all = add(add(local, depot), missed);
	const pooled = states(series, "pooled");
	const seconds = [series.begin_ms, ...series.uptime_ms].map((ms) => ms / 1000);
	return {
		seconds,
		/* The range of time for which clock() is as fine as the points are. */
		fineness: (seconds[seconds.length - 1] - seconds[0]) / (seconds.length - 1) < 1 ? 1 : 10,
		time: [null, ...series.time],
		local, depot, missed, all,
		share: missed.map((value, i) => (all[i] ? (value / all[i]) * 100 : null)),
		live: states(series, "live"),
		pooled,
		held: pooled.map((value) => (value === null ? null : heldBytes(pool, value))),
		isHeldGuessed: !!pool.held && pool.held.how === "guessed",
		peak: states(series, "peak_objects"),
		liveMost: states(series, "live_most"),
		trimmed: rates(series, "trimmed"),
		deleted: rates(series, "destroy_delete"),
		thinned: series.stride > 1,
		changes: changesOf(process, series),
	};
}

/* The changes in how the process is served, in seconds since it began. */
function changesOf(process, series) {
	const start = series.time[0] - series.uptime_ms[0] / 1000;
	return (process.changes || []).slice(1).map((change) => change.time - start);
}

/* Each line: label, colour, plotted values, values in the legend, and how it is drawn. */
function chartsOf(c) {
	const percents = (value) => (value === null || value === undefined ? "–" : fine.format(value) + " %");
	const zeroed = (values) => values.map((value) => (value === null ? 0 : value));
	const charts = [
		{
			id: "creates", title: "Creates per second",
			about: "How the program's creates were served; the areas stand on each other.",
			stacked: true, stepped: true,
			lines: [
				{ label: "thread's cache", colour: "local", values: c.local, raw: c.local },
				{ label: "depot", colour: "depot", values: add(c.local, c.depot), raw: c.depot },
				{ label: "missed", colour: "new", values: c.all, raw: c.missed },
			],
		},
		{
			id: "misses", title: "Share of creates that missed",
			about: "In percent of the creates between two points; 0 where there were none.",
			stepped: true, least: 1, suffix: " %", format: percents,
			lines: [{ label: "missed", colour: "new", values: zeroed(c.share), raw: c.share, area: true }],
		},
		{
			id: "objects", title: "Objects that exist",
			about: "In use by the program, and idle in the pool, stacked; and the most that existed at once so far.",
			stacked: true, stepped: true,
			lines: [
				{ label: "alive", colour: "live", values: c.live, raw: c.live },
				{ label: "idle", colour: "pooled", values: add(c.live, c.pooled), raw: c.pooled },
				{ label: "most so far", colour: "peak", values: c.peak, raw: c.peak, dash: [7, 4], line: true },
			],
		},
		{
			id: "turnover", title: "Made and given back, per second",
			about: "Misses make objects; what nobody needs for a while is given back to the system.",
			stepped: true,
			lines: [
				{ label: "made (missed)", colour: "new", values: c.missed, raw: c.missed, area: true },
				{ label: "given back", colour: "trimmed", values: c.trimmed, raw: c.trimmed, dash: [7, 4] },
			],
		},
	];
	if (c.held.some((value) => value !== null))
		charts.splice(3, 0, {
			id: "memory", title: "Memory of idle objects",
			about: c.isHeldGuessed ? "A guess of two pages for each object: the log has no depths of these stacks." :
				"About: idle objects times the mean memory that their stacks were seen to use.",
			stepped: true, least: 65536, increments: BYTES, format: (value) => (value === null || value === undefined ? "–" : bytes(value)),
			tick: bytes,
			lines: [{ label: "idle", colour: "pooled", values: c.held, raw: c.held, area: true }],
		});
	if (c.thinned)
		charts[2].lines.push({ label: "most alive between points", colour: "live", values: c.liveMost,
			raw: c.liveMost, dash: [2, 3], line: true });
	if (c.deleted.some((value) => value))
		charts[charts.length - 1].lines.push({ label: "destroyed, depot full", colour: "deleted", values: c.deleted,
			raw: c.deleted, dash: [2, 3] });
	return charts;
}

const INCREMENTS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900,
	1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 432000, 864000, 2592000, 8640000, 31536000];

const BYTES = Array.from({ length: 40 }, (_, i) => 1024 * 2 ** i);

function lineOptions(chart, line) {
	const filled = line.area || (chart.stacked && !line.line);
	const options = {
		label: line.label,
		stroke: () => colour(line.colour),
		width: filled && chart.stacked ? 0 : 1.75,
		dash: line.dash,
		points: { show: false },
		value: (u, value, i, at) => (at === null || at === undefined ? "–" : (chart.format || rate)(line.raw[at])),
	};
	if (filled)
		options.fill = () => colour(line.colour) + (chart.stacked ? "c8" : "38");
	if (chart.stepped)
		options.paths = uPlot.paths.stepped({ align: -1 });
	return options;
}

function axes(chart) {
	const common = {
		stroke: () => colour("quiet"),
		grid: { stroke: () => colour("grid"), width: 1 },
		ticks: { stroke: () => colour("grid"), width: 1, size: 5 },
		font: "12px system-ui, sans-serif",
	};
	return [
		{
			...common, incrs: INCREMENTS, space: 70, size: 32,
			values: (u, splits) => splits.map((s) => clock(s, u.scales.x.max - u.scales.x.min)),
		},
		{
			...common, space: 34, size: chart.tick ? 66 : 56, ...(chart.increments ? { incrs: chart.increments } : {}),
			values: (u, splits) => splits.map(chart.tick || ((value) => compact.format(value) + (chart.suffix || ""))),
		},
	];
}

/* Draws a vertical line at each change in how the process is served. */
function markChanges(u, changes) {
	const { ctx, bbox } = u;
	ctx.save();
	ctx.strokeStyle = colour("quiet");
	ctx.lineWidth = devicePixelRatio;
	ctx.setLineDash([2 * devicePixelRatio, 4 * devicePixelRatio]);
	for (const seconds of changes) {
		const x = Math.round(u.valToPos(seconds, "x", true)) + 0.5;
		if (x < bbox.left || x > bbox.left + bbox.width)
			continue;
		ctx.beginPath();
		ctx.moveTo(x, bbox.top);
		ctx.lineTo(x, bbox.top + bbox.height);
		ctx.stroke();
	}
	ctx.restore();
}

function chartOptions(chart, c, width) {
	const areas = chart.stacked ? chart.lines.filter((line) => !line.line).length : 0;
	const bands = [];
	for (let upper = areas; upper > 1; upper--)
		bands.push({ series: [upper, upper - 1] });
	return {
		width, height: 230, bands,
		padding: [10, 14, 0, 0],
		cursor: { sync: { key: "copool" }, drag: { x: true, y: false }, points: { show: !chart.stacked, size: 6 } },
		scales: {
			x: { time: false },
			y: { range: (u, low, high) => [0, Math.max(high * 1.08, chart.least || 1)] },
		},
		axes: axes(chart),
		hooks: { draw: [(u) => markChanges(u, c.changes)] },
		series: [
			{
				label: "at",
				value: (u, value, i, at) => at === null || at === undefined ? "–" :
					clock(value, c.fineness < 10 ? c.fineness : Math.max(10, u.scales.x.max - u.scales.x.min)) +
					(c.time[at] ? " (" + timeOfDay(c.time[at], c.time[1]) + ")" : ""),
			},
			...chart.lines.map((line) => lineOptions(chart, line)),
		],
	};
}

let drawn = []; /* {plot, place} of the charts that are on the page */

/* Says in words what a chart shows, for those who do not see it. */
function inWords(chart) {
	const most = chart.lines.map((line) => {
		const values = line.raw.filter((value) => value !== null);
		return line.label + ": at most " + (values.length ? (chart.format || rate)(values.reduce((a, b) => Math.max(a, b))) : "–");
	});
	return chart.title + ". " + most.join("; ") + ". The table below the charts has all values.";
}

function drawCharts(root, chosen) {
	drawn.forEach(({ plot }) => plot.destroy());
	drawn = [];
	root.replaceChildren();
	if (!chosen.series || !chosen.series.uptime_ms.length)
		return null;
	const c = columns(chosen);
	const charts = chartsOf(c).map((chart) => ({ chart, place: node("div", { class: "plot" }) }));
	/* All places first: how wide each is depends on the others. */
	root.append(...charts.map(({ chart, place }) => node("figure", { id: "chart-" + chart.id },
		node("figcaption", {}, node("h3", {}, chart.title), node("p", {}, chart.about)), place)));
	for (const { chart, place } of charts) {
		const data = [c.seconds, ...chart.lines.map((line) => line.values)];
		const plot = new uPlot(chartOptions(chart, c, place.clientWidth), data, place);
		const canvas = place.querySelector("canvas");
		canvas.setAttribute("role", "img");
		canvas.setAttribute("aria-label", inWords(chart));
		place.querySelector(".u-legend").classList.toggle("fixed", !!chart.stacked);
		drawn.push({ plot, place });
	}
	return c;
}

function fitCharts() {
	for (const { plot, place } of drawn) {
		if (place.clientWidth && place.clientWidth !== plot.width)
			plot.setSize({ width: place.clientWidth, height: plot.height });
	}
}

/* Draws the same again, in the colours that are in force by now. */
function repaintCharts(root, chosen) {
	const zoom = drawn.map(({ plot }) => ({ min: plot.scales.x.min, max: plot.scales.x.max }));
	drawCharts(root, chosen);
	drawn.forEach(({ plot }, i) => plot.setScale("x", zoom[i]));
}
