import { action, all, html, icon, one, setIcon } from "./ui-dom.js";

const SHOWN = {
  open: { icon: "door-open", label: "Open", means: "anyone with the link comes in" },
  knock: { icon: "knock", label: "Knock first", means: "newcomers knock, and are let in" },
  locked: { icon: "lock", label: "Locked", means: "nobody new comes in" },
};

/** Who may come into the room: a button that shows and changes it, and the people who knock. */
export class Door {
  #room = null;
  #stops = [];
  #button = action("access");
  #dialog = one('[data-dialog="access"]');
  #list = one('[data-list="knocks"]');

  constructor({ onnews }) {
    this.onnews = onnews;
    this.#button.addEventListener("click", () => this.#dialog.showModal());
    for (const choice of all('[name="access"]', this.#dialog)) {
      choice.addEventListener("change", () => this.#room?.setAccess(choice.value));
    }
    this.#show("open");
  }

  /** Shows the door of a room, until another one is followed; of `null`, none. */
  follow(room) {
    for (const stop of this.#stops.splice(0)) stop();
    this.#room = room;
    this.#list.replaceChildren();
    this.#dialog.close();
    this.#show(room?.access ?? "open");
    if (!room) return;
    for (const user of room.waiting.values()) this.#knocked(user);
    this.#stops.push(
      room.on("access", ({ access, user }) => this.#changed(access, user)),
      room.on("knock", (user) => this.#knocked(user)),
      room.on("knock-ended", ({ id }) => this.#ended(id)),
    );
  }

  #changed(access, user) {
    this.#show(access);
    const by = !user ? "The room has changed" : user.id === this.#room.self?.id ? "You changed the room" : `${user.name} changed the room`;
    this.onnews(`${by}: ${SHOWN[access].means}`);
  }

  #show(access) {
    const shown = SHOWN[access] ?? SHOWN.open;
    this.#button.dataset.access = access;
    setIcon(this.#button, shown.icon);
    one("span", this.#button).textContent = shown.label;
    this.#button.setAttribute("aria-label", `Who may come in: ${shown.means}`);
    this.#button.title = `Who may come in: ${shown.means}`;
    for (const choice of all('[name="access"]', this.#dialog)) choice.checked = choice.value === access;
  }

  #knocked(user) {
    const answer = (kind, word, style) => {
      const button = html("button", { class: style, type: "button", "data-action": `${kind}-knock`, "aria-label": `${word} ${user.name}` }, word);
      button.addEventListener("click", () => this.#room?.[kind](user));
      return button;
    };
    this.#list.append(html("li", { class: "knock", "data-knock": user.name, "data-id": user.id },
      html("p", {}, icon("knock"), html("span", {}, html("b", {}, user.name), " wants to come in")),
      html("span", { class: "knock-buttons" }, answer("admit", "Admit", "primary"), answer("refuse", "Refuse", "quiet"))));
  }

  #ended(id) {
    const item = all("[data-knock]", this.#list).find(({ dataset }) => dataset.id === String(id));
    const hadFocus = item?.contains(document.activeElement);
    item?.remove();
    // A keyboard goes on with the next one who waits, or in the call.
    if (hadFocus) (one("button", this.#list) ?? this.#list.closest("[tabindex]")).focus({ preventScroll: true });
  }
}
