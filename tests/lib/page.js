// SPDX-License-Identifier: MIT
/* What a reader of the report's page would see, as one object. Run in the page by browser.py. */
(async () => {
	const text = (selector) => [...document.querySelectorAll(selector)].map((element) => element.textContent.trim());
	const luminance = (colour) => {
		const [r, g, b] = colour.match(/[\d.]+/g).map(Number).map((c) => c / 255)
			.map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
		return 0.2126 * r + 0.7152 * g + 0.0722 * b;
	};
	const background = getComputedStyle(document.body).backgroundColor;
	const contrast = (selector) => {
		const element = document.querySelector(selector);
		const [low, high] = [luminance(getComputedStyle(element).color), luminance(background)].sort((a, b) => a - b);
		return (high + 0.05) / (low + 0.05);
	};
	/* How many of a picture's dots are no shade of grey, as axes and their numbers are. */
	const coloured = (dots) => {
		let number = 0;
		for (let i = 0; i < dots.length; i += 4) {
			const [low, , high] = [...dots.slice(i, i + 3)].sort((a, b) => a - b);
			number += dots[i + 3] > 100 && high - low > 60;
		}
		return number;
	};
	/* The flame graph is animated at first: wait until it is complete. */
	const frames = () => [...document.querySelectorAll(".flame g.frame")];
	const isDrawn = (frame) => {
		const label = frame.querySelector(".d3-flame-graph-label");
		return Number(frame.querySelector("rect").getAttribute("width")) > 0 && label && label.textContent !== "" &&
			Math.abs(frame.querySelector("rect").getAttribute("width") - frame.getAttribute("width")) < 0.01;
	};
	while (!frames().every(isDrawn))
		await new Promise(requestAnimationFrame);
	const rows = (selector) => [...document.querySelectorAll(selector + " tbody tr")].map((row) =>
		[...row.cells].map((cell) => cell.textContent).join(" | "));
	const canvases = [...document.querySelectorAll("canvas")];
	const pictures = canvases.map((canvas) => canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data);
	const blank = pictures.filter((dots) => coloured(dots) < 100).length;
	let cursors = 0;
	const over = document.querySelector(".u-over");
	if (over) {
		const box = over.getBoundingClientRect();
		const at = { bubbles: true, clientX: box.left + box.width / 2, clientY: box.top + box.height / 2 };
		over.dispatchEvent(new MouseEvent("mouseenter", at));
		over.dispatchEvent(new MouseEvent("mousemove", at));
		await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
		cursors = [...document.querySelectorAll(".u-legend")].filter((legend) => /\d/.test(legend.textContent)).length;
	}
	const samples = document.getElementById("samples");
	await new Promise((done) => {
		samples.addEventListener("toggle", done, { once: true }); /* after the page's own, which fills the table */
		samples.open = true;
	});
	return {
		title: document.title,
		heading: text("h1")[0],
		verdict: text("#verdict")[0],
		figures: Object.fromEntries([...document.querySelectorAll("#figures div")].map((tile) =>
			[tile.querySelector("dt").textContent, tile.querySelector("dd").textContent])),
		charts: text("#charts h3"),
		labelled: canvases.filter((canvas) => canvas.getAttribute("aria-label")).length,
		canvases: canvases.length,
		blank,
		cursors,
		samples: [...document.querySelectorAll("#samples tbody tr")].slice(0, 3).map((row) =>
			[...row.cells].slice(0, 9).map((cell) => cell.textContent).join(" | ")),
		rows: document.querySelectorAll("#samples tbody tr").length,
		titles: text("h2").filter((title, i) => document.querySelectorAll("h2")[i].offsetParent !== null),
		subtitle: text("#subtitle")[0],
		zone: text("#zone")[0],
		held: [...document.querySelectorAll("#samples thead th")].some((cell) => cell.textContent === "idle memory") ?
			[...document.querySelectorAll("#samples tbody tr")].slice(0, 3).map((row) => row.cells[9].textContent) : null,
		times: [...document.querySelectorAll("#samples tr")].slice(0, 3).map((row) => row.cells[row.cells.length - 1].textContent),
		settings: rows("#settings > .scroll"),
		changes: rows("#settings .changes"),
		depths: [...document.querySelectorAll("#depths figure")].map((figure) => ({
			name: figure.querySelector("h3").textContent,
			said: figure.querySelector("p").textContent,
			figures: Object.fromEntries([...figure.querySelectorAll("dl div")].map((tile) =>
				[tile.querySelector("dt").textContent, tile.querySelector("dd").textContent])),
			bars: [...figure.querySelectorAll(".depths > *")].map((part) => part.textContent).filter((part) => part),
		})),
		totals: rows("#totals"),
		baseline: {
			which: text("#baseline .which")[0],
			programs: [...document.querySelectorAll("#baseline article")].map((program) => ({
				name: program.querySelector("h3").textContent,
				verdict: program.querySelector(".verdict").textContent,
				grade: program.querySelector(".verdict").className,
				rows: [...program.querySelectorAll("tbody tr")].map((row) => [...row.cells].map((cell) => cell.textContent).join(" | ")),
				notes: [...program.querySelectorAll("li")].map((item) => item.textContent),
			})),
			alone: text("#baseline .alone li"),
		},
		flame: frames().map((frame) => ({
			name: frame.querySelector(".d3-flame-graph-label").textContent,
			about: frame.querySelector("title").textContent,
			share: Math.round((Number(frame.getAttribute("width")) / document.querySelector(".flame").clientWidth) * 1000) / 1000,
			top: Math.round(frame.getBoundingClientRect().top - document.querySelector(".flame").getBoundingClientRect().top),
			markup: frame.querySelector(".d3-flame-graph-label").childElementCount,
			contrast: (() => {
				const [low, high] = [frame.querySelector("rect"), frame.querySelector(".d3-flame-graph-label")].map((part, i) =>
					luminance(getComputedStyle(part)[i ? "color" : "fill"])).sort((a, b) => a - b);
				return (high + 0.05) / (low + 0.05);
			})(),
		})),
		pools: text("#pool option"),
		chooses: !document.getElementById("choice").hidden,
		origins: [...document.querySelectorAll("#origins tbody tr")].map((row) => row.cells[1].textContent + " " + row.cells[0].textContent),
		notes: text("#notes li"),
		fits: canvases.every((canvas) => Math.abs(canvas.clientWidth - canvas.closest("figure .plot").clientWidth) < 2),
		narrow: document.documentElement.scrollWidth <= innerWidth,
		background,
		/* One number for each picture, another one for another picture. */
		dots: pictures.map((dots) => dots.reduce((sum, part, i) => (sum * 31 + part * (i % 7 + 1)) % 1000000007, 7)),
		markers: [...document.querySelectorAll(".u-marker")].map((marker) =>
			getComputedStyle(marker).borderTopColor + " on " + getComputedStyle(marker).backgroundColor),
		/* Boxes whose content does not fit, and that cannot be scrolled. */
		spilt: [...document.querySelectorAll("dd, dt, figure, article, td, th, p, h1, h2, h3, li")].filter((element) =>
			element.scrollWidth > element.clientWidth + 1 && element.clientWidth > 0 && getComputedStyle(element).display !== "inline")
			.map((element) => element.tagName + " " + element.textContent.slice(0, 60)),
		contrast: ["h1", ".quiet", "#figures dt", "summary", "#verdict", ".variable", ".depths span", "#totals td", "button#whole"].filter((selector) =>
			document.querySelector(selector)).map(contrast).reduce((a, b) => Math.min(a, b)),
		ran: typeof window.ran,
	};
})()
