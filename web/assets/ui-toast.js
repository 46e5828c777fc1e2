import { html, one } from "./ui-dom.js";

const SHOWN_MS = 5000;

/** Says something in passing; screen readers hear it too. */
export function toast(text) {
  const shown = html("p", { class: "toast", "data-toast": true }, text);
  one("[data-toasts]").append(shown);
  setTimeout(() => shown.remove(), SHOWN_MS);
}

/** Takes away what is still shown. */
export function clearToasts() {
  one("[data-toasts]").replaceChildren();
}
