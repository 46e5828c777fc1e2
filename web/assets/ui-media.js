import { Emitter } from "./sdk-emitter.js";
import { memory } from "./ui-memory.js";
import { NO_DEVICES, explainTrouble } from "./ui-words.js";

const VIDEO = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } };
const AUDIO = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
/** What a browser calls the permission for a kind of device. */
const PERMISSIONS = { audioinput: "microphone", videoinput: "camera" };

/**
 * One's own camera, microphone and screen. Everything may be missing: a call works without.
 *
 * Events: `change` (other tracks, or one switched), `devices` (the list changed), `trouble` (a sentence).
 */
export class LocalMedia extends Emitter {
  audio = null;
  camera = null;
  screen = null;
  /** What the person wants, whether or not it is there. */
  wants = { mic: true, cam: true };
  /** Why there is no `audioinput` or `videoinput`: `refused`, `unanswered`, `system`, `missing`, `busy`, `failed`, or `null`. */
  troubles = { audioinput: null, videoinput: null };
  #chosen = memory.devices;

  constructor() {
    super();
    navigator.mediaDevices?.addEventListener?.("devicechange", () => this.#devicesChanged());
  }

  get video() {
    return this.screen ?? this.camera;
  }

  get micOn() {
    return !!this.audio?.enabled;
  }

  /** Whether the browser lets a page use devices at all: only over HTTPS, or on this very machine. */
  get allowed() {
    return !!navigator.mediaDevices?.getUserMedia;
  }

  /** What is missing and what to do about it, in sentences; empty when nothing is. */
  get explanation() {
    return this.allowed ? explainTrouble(this.troubles) : NO_DEVICES;
  }

  /** Opens what is wanted and there: both at once, so that the browser asks the person once; and what that does not bring, each alone. */
  async open() {
    if (!this.allowed) return this.emit("trouble", this.explanation);
    const kinds = ["audioinput", "videoinput"].filter((kind) => this.#wants(kind));
    if (kinds.length === 0) return this.emit("change");
    try {
      const constraints = Object.fromEntries(kinds.map((kind) => [kind === "audioinput" ? "audio" : "video", this.#constraints(kind)]));
      this.#take(await navigator.mediaDevices.getUserMedia(constraints));
    } catch (error) {
      const allowed = await this.#allowedAlone(error);
      for (const kind of kinds) {
        if (allowed[kind]) await this.#add(kind);
        else this.troubles[kind] = await troubleOf(error, kind);
      }
    }
    if (this.explanation) this.emit("trouble", this.explanation);
    this.emit("change");
  }

  async setMic(on) {
    this.wants.mic = on;
    if (on && !this.audio) await this.#addAndSay("audioinput");
    if (this.audio) this.audio.enabled = on;
    this.emit("change");
  }

  /** Off means off: the camera's own light goes out. */
  async setCam(on) {
    this.wants.cam = on;
    if (on && !this.camera) await this.#addAndSay("videoinput");
    else if (!on) {
      this.camera?.stop();
      this.camera = null;
    }
    this.emit("change");
  }

  /** Shares a screen until `stopScreen`, or until the browser's own button ends it. */
  async shareScreen() {
    const stream = await navigator.mediaDevices.getDisplayMedia({ video: true });
    [this.screen] = stream.getVideoTracks();
    this.screen.contentHint = "detail";
    this.screen.onended = () => this.stopScreen();
    this.emit("change");
  }

  stopScreen() {
    this.screen?.stop();
    this.screen = null;
    this.emit("change");
  }

  /** Uses another device from here on. */
  async choose(kind, deviceId) {
    this.#chosen = { ...this.#chosen, [kind]: deviceId };
    memory.devices = this.#chosen;
    if (kind === "audiooutput") return this.emit("change");
    if (!this.#wants(kind)) return;
    // Some machines open a second camera only when the first is closed.
    const old = kind === "audioinput" ? this.audio : this.camera;
    old?.stop();
    await this.#addAndSay(kind);
    this.emit("change");
  }

  chosen(kind) {
    const track = kind === "audioinput" ? this.audio : this.camera;
    return (kind !== "audiooutput" && track?.getSettings().deviceId) || this.#chosen[kind] || "";
  }

  async list() {
    const devices = (await navigator.mediaDevices?.enumerateDevices?.()) ?? [];
    return devices.filter(({ deviceId }) => deviceId);
  }

  close() {
    for (const track of [this.audio, this.camera, this.screen]) track?.stop();
    this.audio = this.camera = this.screen = null;
  }

  #wants(kind) {
    return kind === "audioinput" ? this.wants.mic : this.wants.cam;
  }

  /** Which devices to ask for alone after asking for both has failed. A person who has said no is not asked twice. */
  async #allowedAlone(error) {
    if (error.name !== "NotAllowedError") return { audioinput: true, videoinput: true };
    const states = { audioinput: await permission("audioinput"), videoinput: await permission("videoinput") };
    // One that is blocked makes the browser refuse both, without a question about the other.
    const unasked = Object.values(states).includes("denied");
    const may = (state) => state === "granted" || state === undefined || (state === "prompt" && unasked);
    return { audioinput: may(states.audioinput), videoinput: may(states.videoinput) };
  }

  async #add(kind) {
    const name = kind === "audioinput" ? "audio" : "video";
    try {
      this.#take(await navigator.mediaDevices.getUserMedia({ [name]: this.#constraints(kind) }));
    } catch (error) {
      this.troubles[kind] = await troubleOf(error, kind);
      if (kind === "audioinput") this.audio = null;
      else this.camera = null;
    }
  }

  async #addAndSay(kind) {
    if (this.allowed) await this.#add(kind);
    const words = this.allowed ? explainTrouble({ [kind]: this.troubles[kind] }) : NO_DEVICES;
    if (words) this.emit("trouble", words);
  }

  #take(stream) {
    for (const track of stream.getTracks()) {
      this.troubles[track.kind === "audio" ? "audioinput" : "videoinput"] = null;
      if (track.kind === "audio") {
        this.audio = track;
        track.enabled = this.wants.mic;
      } else this.camera = track;
      track.onended = () => this.#lost(track);
    }
    this.emit("devices");
  }

  /** Unplugged, or taken away by the system. */
  #lost(track) {
    if (track === this.audio) this.audio = null;
    else if (track === this.camera) this.camera = null;
    else return;
    this.emit("trouble", track.kind === "audio" ? "The microphone is gone." : "The camera is gone.");
    this.emit("change");
  }

  /** A device that was missing is used when it is plugged in. */
  async #devicesChanged() {
    this.emit("devices");
    const there = new Set((await this.list()).map(({ kind }) => kind));
    for (const kind of ["audioinput", "videoinput"]) {
      if (this.troubles[kind] !== "missing" || !this.#wants(kind) || !there.has(kind)) continue;
      await this.#add(kind);
      this.emit("change");
    }
  }

  #constraints(kind) {
    const deviceId = this.#chosen[kind];
    return { ...(kind === "audioinput" ? AUDIO : VIDEO), ...(deviceId && { deviceId: { ideal: deviceId } }) };
  }
}

/** Returns `granted`, `denied`, `prompt`, or nothing where the browser does not tell. */
async function permission(kind) {
  try {
    return (await navigator.permissions.query({ name: PERMISSIONS[kind] })).state;
  } catch {
    return undefined;
  }
}

/** Returns what an error of `getUserMedia` means. */
async function troubleOf({ name, message }, kind) {
  switch (name) {
    case "NotAllowedError":
    case "SecurityError":
      if (/system/i.test(message)) return "system";
      return (await permission(kind)) === "prompt" ? "unanswered" : "refused";
    case "NotFoundError":
    case "OverconstrainedError":
      return "missing";
    case "NotReadableError":
    case "AbortError":
      return "busy";
    default:
      return "failed";
  }
}
