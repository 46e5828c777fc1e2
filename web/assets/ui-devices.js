import { action, all, html, one } from "./ui-dom.js";

const NOUNS = { videoinput: "Camera", audioinput: "Microphone", audiooutput: "Speaker" };

/** Keeps every device menu of the page in step with the machine, before and during the call. */
export function bindDevices(media, onspeaker) {
  const dialog = one('[data-dialog="devices"]');
  const menus = all("[data-device]");
  const refresh = async () => {
    const devices = await media.list();
    for (const menu of menus) fillMenu(menu, devices, media);
  };
  for (const menu of menus) {
    menu.addEventListener("change", async () => {
      await media.choose(menu.dataset.device, menu.value);
      if (menu.dataset.device === "audiooutput") onspeaker(menu.value);
      refresh();
    });
  }
  one("[data-speakers]").hidden = !("setSinkId" in HTMLMediaElement.prototype);
  action("devices").addEventListener("click", () => {
    refresh();
    dialog.showModal();
  });
  media.on("devices", refresh);
  media.on("change", refresh);
  refresh();
}

function fillMenu(menu, devices, media) {
  const kind = menu.dataset.device;
  const found = devices.filter((device) => device.kind === kind);
  const options = found.map(({ deviceId, label }, index) => html("option", { value: deviceId }, label || `${NOUNS[kind]} ${index + 1}`));
  menu.replaceChildren(...(options.length ? options : [html("option", { value: "" }, kind === "audiooutput" ? "The usual one" : "None found")]));
  menu.disabled = options.length === 0;
  const chosen = media.chosen(kind);
  if (found.some(({ deviceId }) => deviceId === chosen)) menu.value = chosen;
}
