// How the data of a task is shown: text as text, pictures as pictures, anything else as a list of names and values.

import { html, useEffect, useRef } from "./ui.js";

const SMALLEST_PICTURE = 16; // numbers; fewer are a list of numbers

export function TaskData({ data }) {
  const fields = Object.entries(data).map(([name, value]) => ({ name, value, kind: kindOf(value) }));
  const shown = fields.filter((field) => field.kind !== "other");
  const others = fields.filter((field) => field.kind === "other");
  const alone = fields.length === 1;
  return html`<div class="task-data">
    ${shown.map((field) => html`<${Shown} key=${field.name} ...${field} alone=${alone} />`)}
    ${others.length > 0 &&
    html`<dl>
      ${others.map(({ name, value }) => html`<div key=${name}><dt>${name}</dt><dd dir="auto">${asText(value)}</dd></div>`)}
    </dl>`}
  </div>`;
}

function Shown({ name, value, kind, alone }) {
  const content = {
    text: () => html`<p class="text" dir="auto">${value}</p>`,
    pixels: () => html`<${Pixels} name=${name} values=${value} />`,
    image: () => html`<img src=${value} alt="Picture: ${name}" />`,
  }[kind]();
  if (alone) return content;
  return html`<figure><figcaption>${name}</figcaption>${content}</figure>`;
}

function kindOf(value) {
  if (isSquare(value)) return "pixels";
  if (typeof value !== "string") return "other";
  return isOurImage(value) ? "image" : "text";
}

function isSquare(value) {
  if (!Array.isArray(value) || value.length < SMALLEST_PICTURE) return false;
  return Number.isInteger(Math.sqrt(value.length)) && value.every((entry) => Number.isFinite(entry));
}

/** A picture inside the task, or a file of this very server: the page asks nobody else for anything. */
function isOurImage(value) {
  if (/^data:image\/(png|jpeg|gif|webp);base64,/i.test(value)) return true;
  if (!/\.(png|jpe?g|gif|webp)$/i.test(value) || /\s/.test(value)) return false;
  if (!value.startsWith("/") && !value.startsWith(`${location.origin}/`)) return false;
  return new URL(value, location.origin).origin === location.origin;
}

const asText = (value) => (typeof value === "object" && value !== null ? JSON.stringify(value) : String(value));

/** Numbers as a square grey-scale picture: the smallest (or 0) is black, the greatest is white. */
function Pixels({ name, values }) {
  const canvas = useRef(null);
  const side = Math.sqrt(values.length);
  useEffect(() => {
    const low = Math.min(0, ...values);
    const span = Math.max(...values) - low || 1;
    const context = canvas.current.getContext("2d");
    const image = context.createImageData(side, side);
    values.forEach((value, index) => {
      const grey = Math.round((255 * (value - low)) / span);
      image.data.set([grey, grey, grey, 255], 4 * index);
    });
    context.putImageData(image, 0, 0);
  }, [values]);
  return html`<canvas ref=${canvas} class="pixels" width=${side} height=${side} role="img"
    aria-label="${name}: a grey-scale picture of ${side} by ${side} points"></canvas>`;
}
