import { html, icon, setIcon } from "./ui-dom.js";
import { explainOnDemand } from "./ui-tip.js";
import { PATHS, STATES, explainPath, hue, initials, milliseconds, rate } from "./ui-words.js";

/** One's own place in the grid. */
export class SelfTile {
  constructor() {
    this.video = html("video", { "data-self": true, "data-mirror": true, muted: true, autoplay: true, playsinline: true, "aria-label": "You" });
    // The attribute alone does not mute an element that a script made.
    this.video.muted = true;
    this.label = html("b", {}, "You");
    this.face = html("span");
    this.tile = html("article", { class: "tile", "data-tile": "self" },
      this.video,
      html("div", { class: "avatar", "aria-hidden": "true" }, this.face),
      html("div", { class: "tile-foot" }, html("span", { class: "name-strip" }, icon("mic-off"), this.label)));
    this.element = html("li", {}, this.tile);
  }

  setName(name) {
    this.label.textContent = `${name} (you)`;
    this.face.textContent = initials(name);
    this.tile.style.setProperty("--hue", hue(name));
  }

  show(media) {
    const video = media.video;
    if (this.video.srcObject?.getVideoTracks()[0] !== video) this.video.srcObject = video ? new MediaStream([video]) : null;
    this.video.toggleAttribute("data-mirror", !media.screen);
    this.tile.dataset.cam = video ? "on" : "off";
    this.tile.dataset.mic = media.micOn ? "on" : "off";
    this.tile.dataset.screen = media.screen ? "on" : "off";
  }
}

let tips = 0;

/** Somebody else's place: their picture, their name, and the honest badge. */
export class PeerTile {
  constructor(peer, { onpath, onblocked, speaker }) {
    this.peer = peer;
    this.onpath = onpath;
    const tip = `tip-${++tips}`;
    this.video = html("video", { autoplay: true, playsinline: true });
    this.video.srcObject = peer.stream;
    this.label = html("b");
    this.face = html("span");
    this.state = html("p", { class: "tile-state", role: "status" });
    this.badgeText = html("span", { class: "long" }, "…");
    this.badgeShort = html("span", { class: "short" }, "…");
    this.badge = html("button", { class: "badge", type: "button", "data-badge": true, "aria-expanded": "false", "aria-describedby": tip }, icon("direct"), this.badgeText, this.badgeShort);
    this.words = html("p");
    this.rtt = html("dd", { "data-rtt": true });
    this.rateIn = html("dd", { "data-bitrate": "in" });
    this.rateOut = html("dd", { "data-bitrate": "out" });
    this.tip = html("div", { class: "tip", role: "tooltip", id: tip, popover: "manual" }, this.words,
      html("dl", {}, html("dt", {}, "There and back"), this.rtt, html("dt", {}, "Receiving"), this.rateIn, html("dt", {}, "Sending"), this.rateOut));
    this.tile = html("article", { class: "tile" },
      this.video,
      html("div", { class: "avatar", "aria-hidden": "true" }, this.face),
      this.state,
      html("div", { class: "tile-foot" }, html("span", { class: "name-strip" }, icon("mic-off"), this.label), this.badge, this.tip));
    this.element = html("li", {}, this.tile);
    explainOnDemand(this.badge, this.tip);
    this.#listen(onblocked);
    this.setSpeaker(speaker);
    this.#named();
    this.#stated();
    this.#pathed();
    this.#told();
  }

  async setSpeaker(deviceId) {
    if (deviceId !== undefined) await this.video.setSinkId?.(deviceId).catch(() => {});
  }

  hear() {
    this.video.muted = false;
    return this.video.play();
  }

  /** Where the browser lets no sound in before the person has touched the page, the picture moves all the same. */
  async #play(onblocked) {
    try {
      await this.video.play();
    } catch (error) {
      if (error.name !== "NotAllowedError") return;
      this.video.muted = true;
      onblocked();
      await this.video.play().catch(() => {});
    }
  }

  #listen(onblocked) {
    const { peer } = this;
    peer.on("name", () => this.#named());
    peer.on("state", () => this.#stated());
    peer.on("path", () => this.#pathed());
    peer.on("stats", () => this.#measured());
    peer.on("media", () => this.#told());
    peer.on("stream", () => {
      this.#told();
      this.#play(onblocked);
    });
  }

  #named() {
    const { name } = this.peer;
    this.label.textContent = name;
    this.face.textContent = initials(name);
    this.tile.style.setProperty("--hue", hue(name));
    this.tile.dataset.tile = name;
    this.video.dataset.peer = name;
    this.video.setAttribute("aria-label", name);
    this.onpath();
  }

  #stated() {
    const { state } = this.peer;
    this.tile.dataset.state = state;
    this.state.textContent = STATES[state] ?? "";
    this.#pathed();
  }

  #pathed() {
    const { path, name, state } = this.peer;
    const known = state === "connected" ? PATHS[path] : null;
    if (known) this.tile.dataset.path = path;
    else delete this.tile.dataset.path;
    this.badgeText.textContent = known?.label ?? "…";
    this.badgeShort.textContent = known?.short ?? "…";
    setIcon(this.badge, known?.icon ?? "direct");
    this.badge.setAttribute("aria-label", known ? `${name}: ${known.label}` : `${name}: connecting`);
    this.words.textContent = explainPath(known && path, name);
    this.#measured();
    this.onpath();
  }

  #measured() {
    const { rtt, bitrateIn, bitrateOut } = this.peer.stats;
    this.rtt.textContent = milliseconds(rtt);
    this.rateIn.textContent = rate(bitrateIn);
    this.rateOut.textContent = rate(bitrateOut);
  }

  #told() {
    const { mic, cam, screen } = this.peer.media;
    const hasVideo = this.peer.stream.getVideoTracks().length > 0;
    this.tile.dataset.mic = mic ? "on" : "off";
    this.tile.dataset.cam = (cam || screen) && hasVideo ? "on" : "off";
    this.tile.dataset.screen = screen ? "on" : "off";
  }
}
