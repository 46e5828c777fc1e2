import { Emitter } from "./sdk-emitter.js";
import { memory } from "./ui-memory.js";

const VIDEO = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } };
const AUDIO = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };

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
  #chosen = memory.devices;

  constructor() {
    super();
    navigator.mediaDevices?.addEventListener?.("devicechange", () => this.emit("devices"));
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

  /** Opens what there is, asking for both at once so that the browser asks the person once. */
  async open() {
    if (!this.allowed) {
      this.emit("trouble", "The browser gives camera and microphone only to pages over HTTPS. You can still watch, listen and chat.");
      return;
    }
    const audio = this.#constraints("audioinput");
    const video = this.#constraints("videoinput");
    for (const wish of [{ audio, video }, { audio }, { video }]) {
      try {
        this.#take(await navigator.mediaDevices.getUserMedia(wish));
        if (!this.audio) this.emit("trouble", "No microphone was found: the others can see you, but not hear you.");
        if (!this.camera) this.emit("trouble", "No camera was found: the others can hear you, but not see you.");
        return this.emit("change");
      } catch (error) {
        if (error.name === "NotAllowedError") break;
      }
    }
    this.emit("trouble", "There is no camera or microphone to use. You can still watch, listen and chat.");
    this.emit("change");
  }

  async setMic(on) {
    this.wants.mic = on;
    if (on && !this.audio) await this.#add("audioinput");
    if (this.audio) this.audio.enabled = on;
    this.emit("change");
  }

  /** Off means off: the camera's own light goes out. */
  async setCam(on) {
    this.wants.cam = on;
    if (on && !this.camera) await this.#add("videoinput");
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
    const wanted = kind === "audioinput" ? this.wants.mic : this.wants.cam;
    if (!wanted) return;
    // Some machines open a second camera only when the first is closed.
    const old = kind === "audioinput" ? this.audio : this.camera;
    old?.stop();
    await this.#add(kind);
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

  async #add(kind) {
    const name = kind === "audioinput" ? "audio" : "video";
    try {
      this.#take(await navigator.mediaDevices.getUserMedia({ [name]: this.#constraints(kind) }));
    } catch (error) {
      const device = kind === "audioinput" ? "microphone" : "camera";
      this.emit("trouble", error.name === "NotAllowedError" ? `The browser may not use the ${device}.` : `The ${device} could not be opened.`);
      if (kind === "audioinput") this.audio = null;
      else this.camera = null;
    }
  }

  #take(stream) {
    for (const track of stream.getTracks()) {
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

  #constraints(kind) {
    const deviceId = this.#chosen[kind];
    return { ...(kind === "audioinput" ? AUDIO : VIDEO), ...(deviceId && { deviceId: { ideal: deviceId } }) };
  }
}
