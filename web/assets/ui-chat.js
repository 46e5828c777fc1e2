import { action, all, html, one } from "./ui-dom.js";
import { clearToasts } from "./ui-toast.js";

const KEPT = 500;

/** The chat beside the call. */
export class Chat {
  #unread = 0;

  constructor({ onsend, onopen }) {
    this.panel = one("[data-chat]");
    this.list = one('[data-list="messages"]');
    this.log = one("[data-chat-log]");
    this.input = one('[data-field="chat-text"]');
    this.button = action("chat");
    this.onopen = onopen;
    this.button.addEventListener("click", () => this.toggle());
    action("close-chat").addEventListener("click", () => this.toggle(false));
    this.panel.addEventListener("keydown", ({ key }) => key === "Escape" && this.toggle(false));
    one('[data-form="chat"]').addEventListener("submit", (event) => {
      event.preventDefault();
      const text = this.input.value.trim();
      if (!text) return;
      this.input.value = "";
      onsend(text);
    });
  }

  get open() {
    return !this.panel.hidden;
  }

  toggle(open = !this.open) {
    if (open === this.open) return;
    this.panel.hidden = !open;
    this.button.setAttribute("aria-expanded", String(open));
    if (open) {
      this.#count(0);
      clearToasts();
      this.#scroll();
      this.input.focus();
    } else this.button.focus();
    this.onopen?.(open);
  }

  say({ name, own, text }) {
    const time = new Date().toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    const by = own ? `You, ${time}` : `${name}, ${time}`;
    this.#append(html("li", { class: own ? "own" : null, "data-message": true, "data-from": name }, html("small", {}, by), html("p", {}, text)));
    if (!own && !this.open) this.#count(this.#unread + 1);
  }

  note(text) {
    this.#append(html("li", { class: "note", "data-note": true }, text));
  }

  #append(item) {
    this.list.append(item);
    for (const old of all("li", this.list).slice(0, -KEPT)) old.remove();
    this.#scroll();
  }

  #scroll() {
    this.log.scrollTop = this.log.scrollHeight;
  }

  #count(unread) {
    this.#unread = unread;
    const badge = one("[data-unread]");
    badge.hidden = unread === 0;
    badge.textContent = unread;
    this.button.setAttribute("aria-label", unread ? `Chat, ${unread} unread` : "Chat");
  }
}
