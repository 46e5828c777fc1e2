/** What this browser remembers: the name, the devices, the last rooms. Nothing breaks where nothing may be kept. */

const KEPT_ROOMS = 6;

function read(key, otherwise) {
  try {
    return JSON.parse(localStorage.getItem(`jackfield:${key}`)) ?? otherwise;
  } catch {
    return otherwise;
  }
}

function write(key, value) {
  try {
    localStorage.setItem(`jackfield:${key}`, JSON.stringify(value));
  } catch {
    // A private window keeps nothing: the page works without.
  }
}

export const memory = {
  get name() {
    return String(read("name", ""));
  },
  set name(name) {
    write("name", name);
  },
  get devices() {
    return read("devices", {});
  },
  set devices(devices) {
    write("devices", devices);
  },
  get rooms() {
    const rooms = read("rooms", []);
    return Array.isArray(rooms) ? rooms.filter((room) => typeof room === "string").slice(0, KEPT_ROOMS) : [];
  },
  remember(room) {
    write("rooms", [room, ...this.rooms.filter((kept) => kept !== room)].slice(0, KEPT_ROOMS));
  },
};
