// SPDX-License-Identifier: MIT
/* The call stacks of misses as a flame graph, drawn by d3-flame-graph: callers below, what they call above. */
"use strict";

const FLAME_ROW = 20;

/* The function in "php+0x373e81 execute_ex", or the address if it has no name. */
function frameName(frame) {
	const blank = frame.indexOf(" ");
	return (blank > 0 && frame.slice(blank + 1)) || frame || "?";
}

/* Merges call stacks into a tree of {name, value, children}, outermost function first. */
function flameTree(origins, name) {
	const root = { name, value: 0, inside: new Map() };
	for (const origin of origins) {
		const frames = origin.frames.length ? origin.frames.map(frameName) : ["?"];
		let at = root;
		at.value += origin.count;
		for (const frame of [...(origin.cut ? ["…"] : []), ...frames.reverse()]) {
			if (!at.inside.has(frame))
				at.inside.set(frame, { name: frame, value: 0, inside: new Map() });
			at = at.inside.get(frame);
			at.value += origin.count;
		}
	}
	let depth = 0;
	const finish = (branch, level) => {
		depth = Math.max(depth, level);
		branch.children = [...branch.inside.values()];
		delete branch.inside;
		branch.children.forEach((child) => finish(child, level + 1));
	};
	finish(root, 1);
	return { root, depth };
}

/* The same colour for the same function, light enough for black letters. */
function flameColour(name) {
	let hash = 7;
	for (let i = 0; i < name.length; i++)
		hash = (hash * 31 + name.charCodeAt(i)) >>> 0;
	return "hsl(" + (16 + (hash % 37)) + " 90% " + (64 + (hash >>> 8) % 14) + "%)";
}

/* Draws it into `place`; `details` shows the function under the pointer. Returns functions that draw it again when `place` is resized, and that undo a zoom. */
function drawFlame(place, details, origins, title, about) {
	const { root, depth } = flameTree(origins, title);
	let drawnWidth = 0;
	let flame = null;
	const draw = () => {
		if (!place.clientWidth || place.clientWidth === drawnWidth)
			return;
		drawnWidth = place.clientWidth;
		place.replaceChildren();
		flame = flamegraph.default().width(drawnWidth).height(depth * FLAME_ROW).cellHeight(FLAME_ROW).minFrameSize(1)
			.sort(true).transitionDuration(0)
			.setColorMapper((frame) => flameColour(frame.data.name))
			.setLabelHandler((frame) => frame.data.name + ": " + about(frame.data.value, root.value))
			.setDetailsHandler((text) => { details.textContent = text || FLAME_HINT; });
		d3.select(place).datum(structuredClone(root)).call(flame);
		const picture = place.querySelector("svg");
		picture.setAttribute("role", "img");
		picture.setAttribute("aria-label", "Flame graph of " + plural(origins.length, "call stack", "call stacks") +
			". The table below it has them all.");
	};
	details.textContent = FLAME_HINT;
	draw();
	return { draw, reset: () => flame && flame.resetZoom() };
}

const FLAME_HINT = "The width of a function is the number of misses that it led to; the functions that it called are above it. Click one to enlarge it.";
