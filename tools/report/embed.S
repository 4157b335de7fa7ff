/* SPDX-License-Identifier: MIT */
/* The parts of the report's page, each ended by a zero byte, in the program itself. */
	.section .rodata

	.macro embed name, file
	.global \name
	.hidden \name
\name:	.incbin "\file"
	.byte 0
	.endm

	embed report_page_html, "report/page.html"
	embed report_page_css, "report/page.css"
	embed report_words_js, "report/words.js"
	embed report_charts_js, "report/charts.js"
	embed report_flame_js, "report/flame.js"
	embed report_sections_js, "report/sections.js"
	embed report_page_js, "report/page.js"
	embed report_uplot_css, "report/uplot/uPlot.min.css"
	embed report_uplot_js, "report/uplot/uPlot.iife.min.js"
	embed report_uplot_licence, "report/uplot/LICENSE"
	embed report_d3_js, "report/d3/d3.min.js"
	embed report_d3_licence, "report/d3/LICENSE"
	embed report_flame_graph_js, "report/d3-flame-graph/d3-flamegraph.umd.min.js"
	embed report_flame_graph_licence, "report/d3-flame-graph/LICENSE"

	.section .note.GNU-stack, "", %progbits
