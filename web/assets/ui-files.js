import { FILES_PROTOCOL, FileReceiver, Interrupted, Refused, sendFiles } from "./sdk-files.js";
import { action, html, one } from "./ui-dom.js";

/** Above this a file is written to the disk while it arrives, where the browser can: the person is asked where. */
const IN_MEMORY = 64 * 2 ** 20;
const REASONS = {
  declined: "They said no.",
  busy: "They are busy with another transfer.",
  exists: "They have a file of that name.",
  "bad-path": "They do not take a file of that name.",
  "disk-full": "Their disk is full.",
  checksum: "A file arrived damaged twice.",
};

/** Files that are sent to the people of the room, and those that they send. */
export class Files {
  #list = one('[data-list="transfers"]');
  #people;
  /** For each person: the receiver of what they send, and what we send them while it is not all there. */
  #receivers = new Map();
  #sending = new Map();

  /** `people()` returns those who are there. */
  constructor({ people }) {
    this.#people = people;
    const input = one('[data-field="files"]');
    action("files").addEventListener("click", () => input.click());
    input.addEventListener("change", () => {
      const files = [...input.files];
      input.value = "";
      if (files.length > 0) for (const peer of this.#people()) this.#offer(peer, files);
    });
  }

  /** Takes what somebody sends from here on. */
  follow(peer) {
    peer.on("channel", (channel) => channel.protocol === FILES_PROTOCOL && this.#receive(peer, channel));
    peer.on("state", (state) => {
      const files = this.#sending.get(peer);
      if (state === "connected" && files?.interrupted) this.#send(peer, files);
    });
  }

  #offer(peer, files) {
    const transfer = new Transfer(this.#list, `To ${peer.name}: ${describe(files.map(({ name, size }) => ({ path: name, size })))}`);
    const sending = { files, transfer, interrupted: false };
    this.#sending.set(peer, sending);
    this.#send(peer, sending);
  }

  async #send(peer, sending) {
    const { files, transfer } = sending;
    sending.interrupted = false;
    transfer.become("waiting", "Waiting for them to take it");
    const channel = peer.connection.createDataChannel("files", { protocol: FILES_PROTOCOL });
    try {
      await sendFiles(channel, files, { onprogress: (bytes, total) => transfer.progress(bytes, total) });
      this.#sending.delete(peer);
      transfer.become("done", "Sent, and checked");
    } catch (error) {
      sending.interrupted = error instanceof Interrupted;
      transfer.fail(error);
    }
  }

  async #receive(peer, channel) {
    const known = this.#receivers.get(peer) ?? this.#makeReceiver(peer);
    this.#receivers.set(peer, known);
    const { receiver } = known;
    try {
      await receiver.receive(channel);
      known.transfer.become("done", "Here, and checked");
      this.#receivers.delete(peer);
    } catch (error) {
      known.transfer?.fail(error);
      if (!(error instanceof Interrupted)) this.#receivers.delete(peer);
      channel.close();
    }
  }

  #makeReceiver(peer) {
    const known = { receiver: null, transfer: null };
    known.receiver = new FileReceiver({
      decide: (offer) => {
        known.transfer = new Transfer(this.#list, `From ${peer.name}: ${describe(offer.entries)}`);
        return known.transfer.ask(offer);
      },
      onprogress: (bytes, total) => known.transfer.progress(bytes, total),
    });
    return known;
  }
}

/** One line of the list. */
class Transfer {
  constructor(list, title) {
    this.note = html("small", {});
    this.bar = html("progress", { max: "1", value: "0" });
    this.buttons = html("span", { class: "transfer-buttons" });
    this.element = html("li", { class: "transfer", "data-transfer": "waiting" }, html("p", {}, title), this.bar, this.note, this.buttons);
    list.append(this.element);
  }

  /** Asks whether to take an offer; resolves with a function that makes places for entries, or with `null`. */
  ask(offer) {
    this.become("offered", "");
    return new Promise((resolve) => {
      const button = (name, words, run) => {
        const made = html("button", { class: "plain", type: "button", "data-action": name }, words);
        made.addEventListener("click", async () => {
          this.buttons.replaceChildren();
          resolve(await run());
        });
        return made;
      };
      const save = button("save-files", "Save", async () => {
        this.become("receiving", "");
        return makePlaces(offer).catch(() => null);
      });
      this.buttons.append(save, button("decline-files", "No", () => null));
    });
  }

  progress(bytes, total) {
    this.become("receiving", `${size(bytes)} of ${size(total)}`);
    this.bar.value = total === 0 ? 1 : bytes / total;
  }

  fail(error) {
    if (error instanceof Interrupted) this.become("interrupted", "Interrupted: it goes on when the connection is back");
    else this.become("failed", error instanceof Refused ? (REASONS[error.reason] ?? "That did not work.") : `That did not work: ${error.message}`);
  }

  become(state, note) {
    this.element.dataset.transfer = state;
    this.note.textContent = note;
    if (state === "done") this.bar.value = 1;
  }
}

/** Returns a function that makes a place for each entry: on the disk for what is large, where the browser can, or else in memory. */
async function makePlaces({ entries, bytes }) {
  const files = entries.filter(({ folder }) => !folder);
  if (bytes > IN_MEMORY && files.length === 1 && window.showSaveFilePicker) {
    const handle = await showSaveFilePicker({ suggestedName: nameOf(files[0]) });
    return () => onDisk(handle);
  }
  if (bytes > IN_MEMORY && window.showDirectoryPicker) {
    const root = await showDirectoryPicker({ mode: "readwrite" });
    return async ({ path }) => {
      const names = path.split("/");
      let folder = root;
      for (const name of names.slice(0, -1)) folder = await folder.getDirectoryHandle(name, { create: true });
      return onDisk(await folder.getFileHandle(names.at(-1), { create: true }));
    };
  }
  return async (entry) => inMemory(nameOf(entry));
}

async function onDisk(handle) {
  const file = await handle.createWritable();
  return {
    write: (bytes) => file.write(bytes),
    clear: () => file.truncate(0).then(() => file.seek(0)),
    close: () => file.close(),
  };
}

function inMemory(name) {
  let parts = [];
  return {
    write: async (bytes) => void parts.push(bytes),
    clear: async () => void (parts = []),
    close: async () => {
      const url = URL.createObjectURL(new Blob(parts));
      html("a", { href: url, download: name }).click();
      // The browser takes its own time to begin with it.
      setTimeout(() => URL.revokeObjectURL(url), 60_000);
    },
  };
}

const nameOf = ({ path }) => path.split("/").at(-1);

function describe(entries) {
  const files = entries.filter(({ folder }) => !folder);
  const bytes = files.reduce((sum, entry) => sum + entry.size, 0);
  return files.length === 1 ? `${nameOf(files[0])}, ${size(bytes)}` : `${files.length} files, ${size(bytes)}`;
}

function size(bytes) {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  const unit = bytes < 1000 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(bytes) / 3));
  return `${unit === 0 ? bytes : (bytes / 1000 ** unit).toPrecision(3)} ${units[unit]}`;
}
