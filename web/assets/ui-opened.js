/**
 * Whether the person has opened this page, or another site's page has. The server writes into the page what the browser says
 * of that (`Sec-Fetch-Site`); no other site can change it.
 */

/** Kept for this tab: a page that loads itself again is opened by a page of the same site. */
const MARK = "jackfield:from-elsewhere";

/** Returns whether the person has opened this page, or has clicked in this tab since another site's page did. */
export function openedByPerson() {
  try {
    if (document.body.dataset.openedFrom !== "here") sessionStorage.setItem(MARK, "1");
    return sessionStorage.getItem(MARK) === null;
  } catch {
    return false;
  }
}

/** Runs `run` at the first click in this page, which makes it the person's. */
export function onFirstClick(run = () => {}) {
  const clicked = (event) => {
    try {
      sessionStorage.removeItem(MARK);
    } catch {
      // Nothing was kept.
    }
    run(event);
  };
  addEventListener("click", clicked, { capture: true, once: true });
}
