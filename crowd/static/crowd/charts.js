// Small charts. Each also says in words what it draws.

import uPlot from "../vendor/uplot/uplot.js";
import { html, percent, useEffect, useRef } from "./ui.js";

const HEIGHT = 170;

/** How many tasks have which confidence; `counts` are ten bins from 0 to 1. */
export function ConfidenceHistogram({ counts }) {
  const total = counts.reduce((sum, value) => sum + value, 0);
  const sure = counts.at(-1);
  const words = total ? `${sure} of ${total} tasks have a confidence of at least 90 %.` : "No task has a vote yet.";
  const options = (ink) => ({
    scales: { x: { time: false, range: [0, 1] }, y: { range: (plot, low, high) => [0, Math.max(1, high)] } },
    axes: [axis(ink, (values) => values.map((value) => percent(value))), axis(ink, wholeNumbers)],
    series: [{}, { fill: ink.fill, stroke: ink.line, width: 1, paths: uPlot.paths.bars({ size: [0.9, Infinity], align: 1 }), points: { show: false } }],
  });
  return html`<${Chart} words=${words} options=${options} data=${[[...counts.keys()].map((index) => index / counts.length), counts]} />`;
}

/** Share of right answers against votes; `points` are {votes, accuracy, agreement}. */
export function LearningCurve({ points }) {
  const last = points.at(-1);
  const words = last
    ? `After ${last.votes} votes: accuracy on known labels ${percent(last.accuracy)}, agreement with the people ${percent(last.agreement)}.`
    : "The learner has not been trained yet.";
  const options = (ink) => ({
    scales: { x: { time: false, range: (plot, low, high) => (low === high ? [low - 1, high + 1] : [low, high]) }, y: { range: [0, 1] } },
    axes: [axis(ink, wholeNumbers), axis(ink, (values) => values.map((value) => percent(value)))],
    series: [
      {},
      { label: "known labels", stroke: ink.line, width: 2, spanGaps: true, points: { show: true, size: 6 } },
      { label: "agreement", stroke: ink.second, width: 2, dash: [5, 4], spanGaps: true, points: { show: true, size: 5 } },
    ],
  });
  const data = [points.map((point) => point.votes), points.map((point) => point.accuracy ?? null), points.map((point) => point.agreement ?? null)];
  return html`<${Chart} words=${words} options=${options} data=${data} />`;
}

/** The learning curve with its band, and the points it was fitted to; `drawn` is as the API gives it. */
export function Forecast({ drawn }) {
  const options = (ink) => ({
    scales: { x: { time: false }, y: { range: (plot, low, high) => [Math.max(0, low - 0.02), Math.min(1, high + 0.02)] } },
    axes: [axis(ink, wholeNumbers), axis(ink, (values) => values.map((value) => percent(value)))],
    bands: [{ series: [3, 2], fill: ink.fill }],
    series: [
      {},
      { label: "forecast", stroke: ink.line, width: 2, spanGaps: true, points: { show: false } },
      { label: "low", stroke: "transparent", spanGaps: true, points: { show: false } },
      { label: "high", stroke: "transparent", spanGaps: true, points: { show: false } },
      { label: "measured", stroke: "transparent", points: { show: true, size: 7, fill: ink.line } },
    ],
  });
  const rows = [...drawn.curve, ...drawn.points.map(({ votes, accuracy }) => ({ votes, measured: accuracy }))].sort((a, b) => a.votes - b.votes);
  const column = (name) => rows.map((row) => row[name] ?? null);
  return html`<${Chart} words=${drawn.says} options=${options} data=${[column("votes"), column("accuracy"), column("low"), column("high"), column("measured")]} />`;
}

/** Accuracy by share of the votes of two policies, each with its band, and what majority vote has in the end. */
export function CostQuality({ now, whatIf, majority, words }) {
  const line = (label, stroke, more = {}) => ({ label, stroke, width: 2, points: { show: false }, ...more });
  const options = (ink) => ({
    scales: { x: { time: false, range: [0, 1] }, y: { range: (plot, low, high) => [Math.max(0, low - 0.01), Math.min(1, high + 0.01)] } },
    axes: [axis(ink, (values) => values.map((value) => percent(value))), axis(ink, (values) => values.map((value) => percent(value)))],
    bands: [
      { series: [3, 2], fill: ink.fill },
      { series: [6, 5], fill: ink.secondFill },
    ],
    series: [
      {},
      line("now", ink.line),
      line("low", "transparent"),
      line("high", "transparent"),
      line("what if", ink.second, { dash: [6, 4] }),
      line("low", "transparent"),
      line("high", "transparent"),
      line("majority vote", ink.text, { width: 1, dash: [2, 3] }),
    ],
  });
  // Before the first tenth of the votes nothing is known: it would only make the rest small.
  const [mine, others] = [now, whatIf].map((curve) => curve.filter((point) => point.votes_share >= 0.1));
  const band = (curve) => ["accuracy", "low", "high"].map((name) => curve.map((point) => point[name]));
  const data = [mine.map((point) => point.votes_share), ...band(mine), ...band(others), mine.map(() => majority)];
  return html`<${Chart} words=${words} options=${options} data=${data} height=${280} />`;
}

function Chart({ words, options, data, height = HEIGHT }) {
  const place = useRef(null);
  const key = JSON.stringify(data);
  useEffect(() => {
    const box = place.current; // still there when the chart has just been taken off the page
    const draw = () => {
      box.replaceChildren();
      const width = box.clientWidth;
      if (width) new uPlot({ width, height, legend: { show: false }, cursor: { show: false }, ...options(inkOf(box)) }, data, box);
    };
    const resized = new ResizeObserver(draw);
    resized.observe(box);
    const dark = matchMedia("(prefers-color-scheme: dark)");
    dark.addEventListener("change", draw);
    return () => {
      resized.disconnect();
      dark.removeEventListener("change", draw);
    };
  }, [key]);
  return html`<div class="chart" ref=${place} aria-hidden="true"></div>
    <p class="muted small">${words}</p>`;
}

function inkOf(element) {
  const style = getComputedStyle(element);
  const of = (name) => style.getPropertyValue(name).trim();
  return { text: of("--pico-muted-color"), grid: of("--pico-muted-border-color"), line: of("--pico-primary"), fill: of("--chart-fill"), second: of("--chart-second"), secondFill: of("--chart-second-fill") };
}

const axis = (ink, values) => ({
  stroke: ink.text,
  grid: { stroke: ink.grid, width: 1 },
  ticks: { show: false },
  font: "12px system-ui, sans-serif",
  size: 44,
  values: (plot, ticks) => values(ticks),
});

const wholeNumbers = (values) => values.map((value) => (Number.isInteger(value) ? value.toLocaleString("en") : ""));
