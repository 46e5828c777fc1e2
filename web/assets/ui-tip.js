const GAP = 8;

/** Shows `tip`, a popover, above `button` while it is pointed at or has the focus; a click keeps it open. */
export function explainOnDemand(button, tip) {
  if (!tip.showPopover) {
    // An older browser: the badge's own words must do.
    tip.hidden = true;
    return;
  }
  let kept = false;
  const show = () => {
    if (!tip.isConnected || tip.matches(":popover-open")) return;
    tip.showPopover();
    place(button, tip);
    button.setAttribute("aria-expanded", "true");
  };
  const hide = () => {
    kept = false;
    if (tip.isConnected && tip.matches(":popover-open")) tip.hidePopover();
    button.setAttribute("aria-expanded", "false");
  };
  button.addEventListener("pointerenter", ({ pointerType }) => pointerType === "mouse" && show());
  button.addEventListener("pointerleave", () => kept || document.activeElement === button || hide());
  button.addEventListener("focus", () => button.matches(":focus-visible") && show());
  button.addEventListener("blur", hide);
  button.addEventListener("keydown", ({ key }) => key === "Escape" && hide());
  button.addEventListener("click", () => {
    const open = !kept;
    if (!open) return hide();
    show();
    kept = true;
  });
}

/** Above the button, or below it where there is no room above; never outside the window. */
function place(button, tip) {
  const { top, bottom, right } = button.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = tip;
  const left = Math.min(Math.max(GAP, right - width), innerWidth - width - GAP);
  const above = top - height - GAP;
  tip.style.left = `${left}px`;
  tip.style.top = `${above >= GAP ? above : Math.min(bottom + GAP, innerHeight - height - GAP)}px`;
}
